// Package daemon serves mail filters as a configuration says, for years.
//
// A Daemon opens the sockets of a configuration, gives up root, and serves. Another
// configuration can take the place of its own at any time, as a whole or not at
// all: conversations that have begun go on as they began, and no connection is
// lost. It tells systemd how it fares, serves metrics, reads lists in files again
// when they change, removes originals that are too old, and answers on a control
// socket, which Control asks:
//
//	GET  /status   a Status
//	POST /reload   a Reloaded, with code 422 where the configuration was refused
//	POST /drain    the daemon stops once its running messages have finished
//	GET  /kept     the entries of the originals that are kept, newest first, one on a line
package daemon
