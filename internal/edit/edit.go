// Package edit holds the edits that a filter makes at the end of a message, and
// applies them to header, body and envelope as Sendmail and as Postfix do.
//
// The two differ in where a field lands, in what an index counts and in which
// edits they refuse. What is done here was observed on Sendmail 8.17.1 and on
// Postfix 3.7.11; comments say where the result may surprise.
package edit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gomilter/gomilter/internal/wire"
)

// An Action is the kind of an Edit.
type Action uint8

// The actions.
const (
	AddHeader    Action = iota + 1 // SMFIR_ADDHEADER
	InsertHeader                   // SMFIR_INSHEADER
	ChangeHeader                   // SMFIR_CHGHEADER
	DeleteHeader                   // SMFIR_CHGHEADER with an empty value
	AddRcpt                        // SMFIR_ADDRCPT, SMFIR_ADDRCPT_PAR
	DeleteRcpt                     // SMFIR_DELRCPT
	ChangeFrom                     // SMFIR_CHGFROM
	ReplaceBody                    // SMFIR_REPLBODY
	Quarantine                     // SMFIR_QUARANTINE
)

var actionNames = [...]string{
	AddHeader: "addheader", InsertHeader: "insheader", ChangeHeader: "chgheader", DeleteHeader: "delheader",
	AddRcpt: "addrcpt", DeleteRcpt: "delrcpt", ChangeFrom: "chgfrom", ReplaceBody: "replbody", Quarantine: "quarantine",
}

// String returns the action's name in lower case, such as "addheader".
func (a Action) String() string {
	if a >= AddHeader && int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "invalid action"
}

// An Edit is one change a filter asks for. Which fields count depends on the action.
type Edit struct {
	Action  Action
	Name    string // of a header field
	Index   uint32 // of InsertHeader, ChangeHeader and DeleteHeader, as on the wire
	Value   string // of a header field, folded with LF; of Quarantine the reason
	Address string // as on the wire, mostly in angle brackets
	Args    string // of AddRcpt and ChangeFrom: ESMTP parameters separated by blanks
	Body    []byte
	Size    int64 // of a body that is not in Body
}

// ErrNoEdit says that a reply code is no edit.
var ErrNoEdit = errors.New("reply is no edit")

// Decode reads the edit in a reply frame. The result shares no memory with payload.
func Decode(cmd byte, payload []byte) (e Edit, err error) {
	var name, value []byte
	switch cmd {
	case wire.ReplyAddHeader:
		e.Action = AddHeader
		name, value, err = header(payload)
	case wire.ReplyInsertHeader, wire.ReplyChangeHeader:
		if len(payload) < 4 {
			return e, wire.ErrTooShort
		}
		// The name may be empty here: what that means, each MTA has its own idea of.
		e.Index, _, _, _ = wire.IndexedHeader(payload)
		name, value, err = header(payload[4:])
		switch {
		case cmd == wire.ReplyInsertHeader:
			e.Action = InsertHeader
		case len(value) > 0:
			e.Action = ChangeHeader
		default:
			e.Action = DeleteHeader
		}
	case wire.ReplyAddRcpt:
		e.Action = AddRcpt
		e.Address, err = text(payload)
	case wire.ReplyDeleteRcpt:
		e.Action = DeleteRcpt
		e.Address, err = text(payload)
	case wire.ReplyAddRcptParams, wire.ReplyChangeFrom:
		if e.Action = AddRcpt; cmd == wire.ReplyChangeFrom {
			e.Action = ChangeFrom
		}
		var addr, args []byte
		if addr, args, err = wire.Envelope(payload); err != nil {
			return e, err
		}
		e.Address = string(addr)
		if len(args) > 0 {
			e.Args, err = text(args)
		}
	case wire.ReplyReplaceBody:
		e.Action = ReplaceBody
		e.Body = bytes.Clone(payload)
	case wire.ReplyQuarantine:
		// Neither MTA minds how the reason ends.
		e.Action = Quarantine
		reason, _, _ := bytes.Cut(payload, []byte{0})
		e.Value = string(reason)
	default:
		return e, ErrNoEdit
	}
	e.Name = string(name)
	if e.Action != Quarantine {
		e.Value = string(value)
	}
	return e, err
}

// header is wire.Header for names that may be empty.
func header(p []byte) (name, value []byte, err error) {
	name, rest, err := wire.CutString(p)
	if err != nil {
		return nil, nil, err
	}
	value, err = wire.OneString(rest)
	return name, value, err
}

func text(p []byte) (string, error) {
	s, err := wire.OneString(p)
	return string(s), err
}

// AppendFrames appends the frames that ask for the edit, more than one for a
// long body.
func (e Edit) AppendFrames(dst []byte) []byte {
	cmd := byte(wire.ReplyAddRcpt)
	switch e.Action {
	case AddHeader:
		dst, at := wire.BeginFrame(dst, wire.ReplyAddHeader)
		return wire.EndFrame(wire.AppendHeader(dst, e.Name, e.Value), at)
	case InsertHeader, ChangeHeader, DeleteHeader:
		if cmd = wire.ReplyChangeHeader; e.Action == InsertHeader {
			cmd = wire.ReplyInsertHeader
		}
		value := e.Value
		if e.Action == DeleteHeader {
			value = ""
		}
		dst, at := wire.BeginFrame(dst, cmd)
		return wire.EndFrame(wire.AppendIndexedHeader(dst, e.Index, e.Name, value), at)
	case ReplaceBody:
		b := e.Body
		for ; len(b) > wire.ChunkSize; b = b[wire.ChunkSize:] {
			dst = wire.AppendFrame(dst, wire.ReplyReplaceBody, b[:wire.ChunkSize])
		}
		return wire.AppendFrame(dst, wire.ReplyReplaceBody, b)
	case Quarantine:
		dst, at := wire.BeginFrame(dst, wire.ReplyQuarantine)
		return wire.EndFrame(wire.AppendString(dst, e.Value), at)
	case DeleteRcpt:
		cmd = wire.ReplyDeleteRcpt
	case ChangeFrom:
		cmd = wire.ReplyChangeFrom
	case AddRcpt:
		if e.Args != "" {
			cmd = wire.ReplyAddRcptParams
		}
	}
	dst, at := wire.BeginFrame(dst, cmd)
	dst = wire.AppendString(dst, e.Address)
	if e.Args != "" && cmd != wire.ReplyDeleteRcpt {
		dst = wire.AppendString(dst, e.Args)
	}
	return wire.EndFrame(dst, at)
}

// String returns the edit on one line for people.
func (e Edit) String() string {
	switch e.Action {
	case AddHeader:
		return fmt.Sprintf("%v %s: %q", e.Action, e.Name, e.Value)
	case InsertHeader, ChangeHeader:
		return fmt.Sprintf("%v %d %s: %q", e.Action, e.Index, e.Name, e.Value)
	case DeleteHeader:
		return fmt.Sprintf("%v %d %s", e.Action, e.Index, e.Name)
	case ReplaceBody:
		return fmt.Sprintf("%v %d bytes", e.Action, max(int64(len(e.Body)), e.Size))
	case Quarantine:
		return fmt.Sprintf("%v %q", e.Action, e.Value)
	}
	if e.Args != "" {
		return fmt.Sprintf("%v %s %s", e.Action, e.Address, e.Args)
	}
	return fmt.Sprintf("%v %s", e.Action, e.Address)
}

// MarshalJSON writes the fields that the action needs: action, name, index,
// value, address, args, size. Of a body only the size is told. Bytes that are
// no UTF-8 stand as base64 under the field's name with "_b64".
func (e Edit) MarshalJSON() ([]byte, error) {
	b := appendText([]byte{'{'}, "action", e.Action.String())
	switch e.Action {
	case AddHeader, InsertHeader, ChangeHeader, DeleteHeader:
		b = appendText(b, "name", e.Name)
		if e.Action != AddHeader {
			b = fmt.Appendf(b, `,"index":%d`, e.Index)
		}
		if e.Action != DeleteHeader {
			b = appendText(b, "value", e.Value)
		}
	case AddRcpt, DeleteRcpt, ChangeFrom:
		b = appendText(b, "address", e.Address)
		if e.Args != "" && e.Action != DeleteRcpt {
			b = appendText(b, "args", e.Args)
		}
	case ReplaceBody:
		b = fmt.Appendf(b, `,"size":%d`, max(int64(len(e.Body)), e.Size))
	case Quarantine:
		b = appendText(b, "value", e.Value)
	}
	return append(b, '}'), nil
}

// appendText appends a member of a JSON object, with a comma before all but the first.
func appendText(b []byte, key, value string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	if !utf8.ValidString(value) {
		return fmt.Appendf(b, `"%s_b64":"%s"`, key, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	enc.Encode(value) // a string cannot fail
	return fmt.Appendf(b, `"%s":%s`, key, bytes.TrimSuffix(quoted.Bytes(), []byte("\n")))
}
