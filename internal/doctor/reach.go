package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// Limits to what is followed, those of Linux.
const (
	maxLinks = 40   // symbolic links on the way to a file
	maxPath  = 4096 // bytes of a path
)

// A visit is a directory on the way to a file, or the file itself.
type visit struct {
	path string
	node node
}

// visits returns the directories that are searched on the way from root to path,
// root included, with links followed, and path itself at the end. path begins at
// the root of the machine; absolute links lead to root, as in a chroot. When
// something is missing, the error is fs.ErrNotExist and what was found before it
// is returned.
func visits(h host, root, path string) (list []visit, err error) {
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%s is not below %s", path, root)
	}
	at := root
	rest := strings.Split(filepath.ToSlash(rel), "/")
	n, err := h.lstat(at)
	if err != nil {
		return nil, err
	}
	list = append(list, visit{at, n})
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at != root {
				at = filepath.Dir(at)
			}
			continue
		}
		next := filepath.Join(at, name)
		n, err := h.lstat(next)
		if err != nil {
			return list, err
		}
		if n.mode&fs.ModeSymlink == 0 {
			at = next
			list = append(list, visit{at, n})
			continue
		}
		if links++; links > maxLinks {
			return list, fmt.Errorf("%s: too many symbolic links", path)
		}
		target, err := h.readlink(next)
		if err != nil {
			return list, err
		}
		if filepath.IsAbs(target) {
			at = root
		}
		rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
	}
	return list, nil
}

// realPath returns a path without symbolic links above its last name, as far as it
// exists.
func realPath(h host, path string) string {
	path = filepath.Clean(path)
	dir := filepath.Dir(path)
	if dir == path || len(path) > maxPath {
		return path
	}
	list, err := visits(h, "/", dir)
	if err != nil || len(list) == 0 {
		return filepath.Join(realPath(h, dir), filepath.Base(path))
	}
	return filepath.Join(list[len(list)-1].path, filepath.Base(path))
}

// reach finds what keeps a user from a unix socket. root is "/" or the directory
// the MTA is chrooted in; mta names the MTA in messages. want is what the user
// needs of the socket, in the bits of "others".
func reach(ctx context.Context, h host, f Filter, ep endpoint, root string, who account, mta string, want fs.FileMode) []Finding {
	list, err := visits(h, root, ep.Path)
	var out []Finding
	socketThere := err == nil
	dirs := list
	if socketThere {
		dirs = list[:len(list)-1]
	}
	for i, d := range dirs {
		if !d.node.mode.IsDir() {
			return append(out, Finding{Severity: Error, Code: "socket-absent",
				What: fmt.Sprintf("%s, on the way to the socket %s, is no directory", d.path, ep.Path),
				Why:  mta + " cannot connect, and treats all mail as its failure policy says."})
		}
		if who.may(d.node, 1) {
			continue
		}
		fix := run("chmod o+x " + quote(d.path))
		if i == len(dirs)-1 { // the socket's own directory may well belong to the MTA's group
			fix = run(groupCommands(d, who, "g+x")...)
		}
		out = append(out, Finding{Severity: Error, Code: "permission",
			What: fmt.Sprintf("user %s, as whom %s connects, may not search the directory %s (mode %04o, user %d, group %d)",
				who.name, mta, d.path, octal(d.node.mode), d.node.uid, d.node.gid),
			Why:   "The connection fails with \"Permission denied\", and mail is treated as the failure policy says.",
			Fixes: fix})
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return append(out, cannotSee(ep.Path, err))
	case err != nil:
		return append(append(out, absent(ep, who)...), willReach(h, f, ep, who, mta, want)...)
	}
	sock := list[len(list)-1]
	if sock.node.mode&fs.ModeSocket == 0 {
		return append(out, Finding{Severity: Error, Code: "socket-absent",
			What: fmt.Sprintf("%s is no socket (%v)", sock.path, sock.node.mode),
			Why:  mta + " cannot connect, and treats all mail as its failure policy says; gomilter does not remove what is no socket.",
		})
	}
	if !who.may(sock.node, want) {
		out = append(out, Finding{Severity: Error, Code: "permission",
			What: fmt.Sprintf("user %s, as whom %s connects, may not write to the socket %s (mode %04o, user %d, group %d)",
				who.name, mta, sock.path, octal(sock.node.mode), sock.node.uid, sock.node.gid),
			Why:   "The connection fails with \"Permission denied\"; gomilter makes the socket so for good when its [[listener]] has a group the user is in.",
			Fixes: run(groupCommands(sock, who, "g+rw")...)})
	}
	return append(out, listens(ctx, h, ep)...)
}

// groupCommands gives a user's group a permission.
func groupCommands(v visit, who account, perm string) []string {
	if v.node.uid == who.uid {
		return []string{"chmod " + strings.Replace(perm, "g", "u", 1) + " " + quote(v.path)}
	}
	for _, g := range who.groups {
		if g == v.node.gid {
			return []string{"chmod " + perm + " " + quote(v.path)}
		}
	}
	return []string{"chgrp " + quote(who.group) + " " + quote(v.path), "chmod " + perm + " " + quote(v.path)}
}

// absent tells of a socket that does not exist.
func absent(ep endpoint, who account) []Finding {
	group := ep.Group
	if group == "" && who.uid != 0 {
		group = who.group
	}
	return []Finding{{Severity: Error, Code: "socket-absent",
		What:  fmt.Sprintf("there is no socket %s", ep.Path),
		Why:   "The filter does not run, or listens elsewhere; mail is treated as the MTA's failure policy says.",
		Fixes: listenAt(ep.Socket, group)}}
}

// configuration is where gomilter's own configuration mostly is.
const configuration = "/etc/gomilter/gomilter.toml"

// listenAt makes gomilter listen at a socket, which belongs to a group unless that is "".
func listenAt(spec, group string) []Fix {
	lines := []string{"# in its [[listener]]:", "socket = " + strconv.Quote(spec)}
	if group != "" {
		lines = append(lines, "group = "+strconv.Quote(group), `mode = "0660"`)
	}
	return append([]Fix{{File: configuration, Lines: lines}}, run("systemctl restart gomilter")...)
}

// willReach judges a socket that is not there yet by what is known of it.
func willReach(h host, f Filter, ep endpoint, who account, mta string, want fs.FileMode) []Finding {
	if ep.Mode == 0 || f.User == "" && ep.Group == "" {
		return nil
	}
	n := node{mode: ep.Mode, uid: -1, gid: -1}
	owner := f.User
	if owner == "" {
		owner = "root"
	}
	if a, err := h.account(owner); err == nil {
		n.uid, n.gid = a.uid, a.gid
	}
	if ep.Group != "" {
		gid, err := h.group(ep.Group)
		if err != nil {
			return []Finding{{Severity: Error, Code: "permission",
				What: fmt.Sprintf("the socket %s is to belong to the group %s, which does not exist", ep.Path, shown(ep.Group)),
				Why:  "gomilter will not start.", Fixes: run("groupadd --system " + quote(ep.Group))}}
		}
		n.gid = gid
	}
	if who.may(n, want) {
		return nil
	}
	return []Finding{{Severity: Error, Code: "permission",
		What: fmt.Sprintf("user %s, as whom %s connects, will not be able to write to the socket %s (mode %04o, user %s, group %s)",
			who.name, mta, ep.Path, octal(ep.Mode), f.User, ep.Group),
		Why:   "The connection will fail with \"Permission denied\".",
		Fixes: listenAt(ep.Socket, who.group)}}
}

// listens tries to connect.
func listens(ctx context.Context, h host, ep endpoint) []Finding {
	network, address := ep.dial()
	err := h.dial(ctx, network, address)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return []Finding{cannotSee(address, err)}
	case isRefused(err):
		return []Finding{{Severity: Error, Code: "nobody-listens",
			What:  fmt.Sprintf("nobody listens at %s", address),
			Why:   "The filter does not run; mail is treated as the MTA's failure policy says.",
			Fixes: run("systemctl restart gomilter")}}
	}
	return []Finding{{Severity: Error, Code: "nobody-listens",
		What:  fmt.Sprintf("no connection to %s: %v", address, err),
		Why:   "The filter cannot be reached from here; mail is treated as the MTA's failure policy says.",
		Fixes: run("systemctl restart gomilter")}}
}

func cannotSee(what string, err error) Finding {
	return Finding{Severity: Note, Code: "not-checked",
		What: fmt.Sprintf("%s could not be looked at: %v", what, err),
		Why:  "Only root sees all that the MTA sees; run this as root for a full answer."}
}

// octal is a mode as chmod takes it.
func octal(m fs.FileMode) uint32 {
	n := uint32(m.Perm())
	if m&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	if m&fs.ModeSetgid != 0 {
		n |= 0o2000
	}
	if m&fs.ModeSetuid != 0 {
		n |= 0o4000
	}
	return n
}
