//go:build !unix

package wire

import "net"

type sock struct{ acked bool }

func newSock(net.Conn) *sock                  { return nil }
func (s *sock) Read([]byte) (int, error)      { panic("wire: no sock on this system") }
func (s *sock) readInto(*Reader) (int, error) { panic("wire: no sock on this system") }
func (s *sock) gone() bool                    { return false }
