package milter

import "github.com/gomilter/gomilter/internal/wire"

// A phase is how far the conversation on a connection has come. The order is
// libmilter's.
type phase uint8

const (
	phaseNew       phase = iota // nothing yet
	phaseOffered                // OPTNEG was answered
	phaseConnected              // CONNECT
	phaseHelo                   // HELO, or a message ended by a verdict or an ABORT
	phaseMail
	phaseRcpt
	phaseData
	phaseHeaders
	phaseEndOfHeaders
	phaseBody
	phaseEnded // BODYEOB
	numPhases
)

var phases = [numPhases]struct {
	stage   Stage    // whose command leads here
	accepts StageSet // what may come next
}{
	phaseNew:          {StageNegotiate, 0},
	phaseOffered:      {StageNegotiate, Stages(StageConnect)},
	phaseConnected:    {StageConnect, Stages(StageHelo, StageMail)},
	phaseHelo:         {StageHelo, Stages(StageHelo, StageMail)},
	phaseMail:         {StageMail, Stages(StageRcpt)},
	phaseRcpt:         {StageRcpt, Stages(StageRcpt, StageData, StageHeader, StageEndOfHeaders, StageBody, StageEnd)},
	phaseData:         {StageData, Stages(StageHeader, StageEndOfHeaders)},
	phaseHeaders:      {StageHeader, Stages(StageHeader, StageEndOfHeaders)},
	phaseEndOfHeaders: {StageEndOfHeaders, Stages(StageBody, StageEnd)},
	phaseBody:         {StageBody, Stages(StageBody, StageEnd)},
	phaseEnded:        {StageEnd, Stages(StageMail)},
}

// afterUnknown is what libmilter accepts behind an UNKNOWN, whatever came before.
var afterUnknown = Stages(StageHelo, StageMail, StageRcpt, StageData, StageBody)

var phaseOf = func() (t [StageClose + 1]phase) {
	for p := phaseConnected; p < numPhases; p++ {
		t[phases[p].stage] = p
	}
	return t
}()

func (p phase) stage() Stage { return phases[p].stage }

// admits reports whether a stage may come in a phase, given the steps that were
// switched off: those may be missing in between.
func (p phase) admits(s Stage, off Protocol) bool {
	for {
		if phases[p].accepts.Has(s) {
			return true
		}
		if p++; p >= numPhases || phases[p].stage.NoBit()&off == 0 {
			return false
		}
	}
}

// advance moves the conversation to a stage, calling New before the first, or returns ErrOrder where libmilter
// would drop the command and leave the MTA waiting. A message that is open when
// another begins, or when the client says HELO again, is aborted.
func (c *conn) advance(s Stage) error {
	if s == StageUnknown {
		c.afterUnknown = true
		return c.begin() // it may come at any time and changes nothing
	}
	off := c.granted.Protocol & wire.NoSteps
	ok := c.phase.admits(s, off) || c.afterUnknown && afterUnknown.Has(s)
	if !ok && (c.phase == phaseNew && s == StageConnect || !phaseHelo.admits(s, off)) {
		if err := c.abort(); err != nil {
			return err
		}
		return ErrOrder
	}
	if err := c.begin(); err != nil {
		return err
	}
	c.afterUnknown = false
	if restart := s == StageMail || s == StageHelo || s == StageConnect; restart || !ok {
		if err := c.abort(); err != nil {
			return err
		}
	}
	if p := phaseOf[s]; p >= phaseMail {
		if !c.inMessage {
			c.startMessage()
		}
	}
	c.phase = phaseOf[s]
	return nil
}
