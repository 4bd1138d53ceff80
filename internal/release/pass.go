package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// Pass lets a message with a good mark pass: it is the Pass of a [filter.Chain]. All
// marks are taken out of the message, good or not. One that is not good is logged,
// and the message is filtered as any other. Where there are several only the first
// counts: the one that the admin put on top.
//
// The error is one of the file system, of reading the message, or [ErrFull].
func (m *Marks) Pass(_ context.Context, t *filter.Transaction, e *filter.Edits) (why string, err error) {
	msg := t.Message()
	var marks []message.Field
	for _, f := range msg.Header.All(Field) {
		marks = append(marks, f)
		if err := e.DeleteHeader(Field, len(marks)); err != nil {
			return "", err
		}
	}
	if len(marks) == 0 {
		return "", nil
	}
	mk, err := m.check(string(marks[0].Value()), msg.Header, io.NewSectionReader(msg.Body, 0, msg.Body.Size()))
	switch {
	case err == nil:
		m.o.Log.Info("original released", "conn", t.ID, "queue", t.QueueID(), "ref", mk.ref, "marks", len(marks))
		return "released " + mk.ref, nil
	case !slices.ContainsFunc([]error{errForm, errForged, errExpired, errUsed}, func(bad error) bool { return errors.Is(err, bad) }):
		return "", fmt.Errorf("release: %w", err)
	}
	t.Explain("mark of a release ignored: " + err.Error())
	m.o.Log.Warn("mark of a release ignored", "conn", t.ID, "queue", t.QueueID(), "class", t.Class(), "ref", mk.ref, "why", err, "marks", len(marks))
	return "", nil
}
