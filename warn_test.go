package milter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPeersCannotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		s := filter(Hooks{})
		s.Log = book.logger()
		ln := serve(t, s)
		scan := func() {
			p := ln.dial(t)
			p.write("\xff")
			p.closed()
		}
		for range 500 {
			scan()
		}
		synctest.Wait()
		if n := strings.Count(book.String(), "connection closed"); n != maxWarnings {
			t.Errorf("500 port scans wrote %d lines, want %d", n, maxWarnings)
		}
		time.Sleep(time.Second)
		scan()
		synctest.Wait()
		if !strings.Contains(book.String(), "left_out=490") {
			t.Error("nothing tells of the lines left out")
		}
	})
}
