//go:build !unix || aix

package wire

import (
	"net"
	"sync/atomic"
)

type sock struct{ acked atomic.Bool }

func newSock(net.Conn) *sock                  { return nil }
func (s *sock) Read([]byte) (int, error)      { panic("wire: no sock on this system") }
func (s *sock) readInto(*Reader) (int, error) { panic("wire: no sock on this system") }
func (s *sock) peek() (closed bool, cmd byte) { return false, 0 }
