//go:build !unix || aix || solaris || illumos

package milter

import (
	"errors"
	"net"
)

func listenFD(string) (net.Listener, error) {
	return nil, errors.New("descriptors cannot be taken over on this system")
}
