package cases

import (
	"errors"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

// NewProfile makes a judge of package mta's profile of an MTA.
func NewProfile(t testing.TB, kind peertest.Kind, name string) *Judge {
	return newJudge(t, kind, name)
}

func (j *Judge) converseProfile(t testing.TB, c *Case, norm *normalizer) (Outcome, error) {
	return nil, errors.New("not yet")
}
