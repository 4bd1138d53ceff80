package wire

import "syscall"

// quickACK acknowledges now what a TCP socket has received (tcp(7), TCP_QUICKACK).
// The kernel may delay the next acknowledgement again.
func quickACK(fd uintptr) {
	syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}
