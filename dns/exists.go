package dns

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	udpPayload = 1232 // bytes that are said to be welcome (EDNS0, DNS flag day 2020)
	maxStray   = 64   // packets passed over in a try, that are no reply to what was asked
)

// Exists is [Exister]'s. It asks for an address of the name by UDP, and by TCP where the
// reply does not fit: a name does not exist where the reply says NXDOMAIN and holds no
// alias of that name. An alias exists, whatever it leads to, so no chain is followed.
//
// A server that fails or refuses, and one that does not answer, is a temporary error.
func (s *System) Exists(ctx context.Context, name string) (bool, error) {
	canon, ok := canonical(name)
	if !ok {
		return false, nil
	}
	r, _, err := s.query(ctx, canon, dnsmessage.TypeA)
	return r.exists, err
}

// query asks servers for data of a type until one answers. The error is temporary.
func (s *System) query(ctx context.Context, canon string, t dnsmessage.Type) (reply, dnsmessage.Question, error) {
	q := dnsmessage.Question{Type: t, Class: dnsmessage.ClassINET}
	var last error
	if q.Name, last = dnsmessage.NewName(canon + "."); last != nil {
		return reply{}, q, useless(canon, last.Error()) // which canonical does not let happen
	}
	servers, _, attempts := s.conf.get()
	ctx = withSkipped(ctx)
	for range attempts * len(servers) {
		r, err := s.askServer(ctx, q)
		if err == nil {
			return r, q, nil
		}
		last = err
		if ctx.Err() != nil {
			return reply{}, q, givenUp(canon, ctx.Err())
		}
	}
	out := temporary(canon, "", last.Error())
	if ne, ok := errors.AsType[net.Error](last); ok {
		out.IsTimeout = ne.Timeout()
	}
	return reply{}, q, out
}

// askServer asks one server.
func (s *System) askServer(ctx context.Context, q dnsmessage.Question) (reply, error) {
	var id [2]byte
	rand.Read(id[:])
	query, err := newQuery(binary.BigEndian.Uint16(id[:]), q)
	if err != nil {
		return reply{}, err
	}
	r, err := s.exchange(ctx, "udp", query, q)
	if err == nil && r.truncated {
		r, err = s.exchange(ctx, "tcp", query, q)
		if err == nil && r.truncated {
			err = errors.New("a reply by TCP that is cut short")
		}
	}
	if err == nil && r.failed {
		err = fmt.Errorf("server misbehaving: %v", r.rcode)
	}
	return r, err
}

// newQuery returns a query, of the form that a TCP stream carries: with its length first.
func newQuery(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 2+udpPayload), dnsmessage.Header{ID: id, RecursionDesired: true})
	var h dnsmessage.ResourceHeader
	err := errors.Join(
		b.StartQuestions(), b.Question(q),
		b.StartAdditionals(), h.SetEDNS0(udpPayload, dnsmessage.RCodeSuccess, false), b.OPTResource(h, dnsmessage.OPTResource{}),
	)
	if err != nil {
		return nil, err
	}
	m, err := b.Finish()
	if err == nil {
		binary.BigEndian.PutUint16(m, uint16(len(m)-2))
	}
	return m, err
}

// exchange sends query and returns the reply to it.
func (s *System) exchange(ctx context.Context, network string, query []byte, q dnsmessage.Question) (reply, error) {
	conn, err := s.dial(ctx, network)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	until, _ := ctx.Deadline()
	if err := conn.SetDeadline(until); err != nil {
		return reply{}, err
	}
	id := binary.BigEndian.Uint16(query[2:])
	if network == "tcp" {
		if _, err := conn.Write(query); err != nil {
			return reply{}, err
		}
		m, err := readStream(conn)
		if err != nil {
			return reply{}, err
		}
		return decodeReply(m, id, q)
	}
	if _, err := conn.Write(query[2:]); err != nil {
		return reply{}, err
	}
	buf := make([]byte, udpPayload)
	for range maxStray {
		n, err := conn.Read(buf)
		if err != nil {
			return reply{}, err
		}
		// What is no reply to this may be anybody's, with a forged address: the
		// server's may follow.
		if r, err := decodeReply(buf[:n], id, q); err == nil {
			return r, nil
		}
	}
	return reply{}, errors.New("only packets that are no reply")
}

// readStream reads a message of a TCP stream. It takes memory for what comes, not for
// what is announced.
func readStream(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	var m bytes.Buffer
	if _, err := io.CopyN(&m, r, int64(binary.BigEndian.Uint16(size[:]))); err != nil {
		return nil, err
	}
	return m.Bytes(), nil
}

// A reply is what a message tells of whether a name exists.
type reply struct {
	exists    bool
	answers   *dnsmessage.Parser // before the first; nil where the name does not exist
	truncated bool               // nothing is known; ask by TCP
	failed    bool               // nothing is known; the server has rcode to say
	rcode     dnsmessage.RCode
}

var errNoReply = errors.New("no reply to what was asked")

// decodeReply reads the reply to q. The error is for a message that is none, or broken.
func decodeReply(m []byte, id uint16, q dnsmessage.Question) (reply, error) {
	var p dnsmessage.Parser
	h, err := p.Start(m)
	if err != nil {
		return reply{}, err
	}
	if h.ID != id || !h.Response || h.OpCode != 0 {
		return reply{}, errNoReply
	}
	asked, err := p.AllQuestions()
	if err != nil {
		return reply{}, err
	}
	// A server that cannot read a query may leave the question out; so could a forger.
	if len(asked) != 1 || asked[0].Type != q.Type || asked[0].Class != q.Class || !sameName(asked[0].Name, q.Name) {
		return reply{}, errNoReply
	}
	switch {
	case h.Truncated:
		return reply{truncated: true}, nil
	case h.RCode == dnsmessage.RCodeSuccess:
		return reply{exists: true, answers: &p}, nil
	case h.RCode != dnsmessage.RCodeNameError:
		return reply{failed: true, rcode: h.RCode}, nil
	}
	// The code is of the last name in a chain of aliases (RFC 6604 section 3).
	for {
		rr, err := p.AnswerHeader()
		switch {
		case err == dnsmessage.ErrSectionDone:
			return reply{}, nil
		case err != nil:
			return reply{}, err
		case rr.Type == dnsmessage.TypeCNAME && rr.Class == q.Class && sameName(rr.Name, q.Name):
			return reply{exists: true}, nil
		}
		if err := p.SkipAnswer(); err != nil {
			return reply{}, err
		}
	}
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }
