// Package packaging tests what installs gomilter: make install, and the packages
// for Debian and for systems with RPM.
package packaging
