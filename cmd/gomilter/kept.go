package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/internal/release"
	"github.com/gomilter/gomilter/quarantine"
)

type keptCmd struct {
	List    keptListCmd    `cmd:"" help:"List them, newest first."`
	Get     keptGetCmd     `cmd:"" help:"Write one, as it was received."`
	Release keptReleaseCmd `cmd:"" help:"Send them on their way again, past the filters."`
	Purge   keptPurgeCmd   `cmd:"" help:"Remove them."`

	keptPlace
}

func (*keptCmd) Help() string {
	return `Originals are messages as they were received, before a filter changed or refused them or when
it failed on them. Each has a reference, which stands in what took the place of a part and in
the log.

Exit codes: 0 done; 64 no reference, or another mistake; 65 nothing is kept under it, or it
cannot be read; 69 the SMTP server cannot be reached or refuses, or there is no such folder;
75 the server says to try again; 77 not permitted; 78 the configuration has errors.`
}

// A keptPlace says where the daemon keeps originals and its state.
type keptPlace struct {
	Config []string `short:"c" placeholder:"FILE" sep:"none" help:"The daemon's configuration, which names the folders (default: /etc/gomilter/gomilter.toml, where there is one). May be repeated."`
	Dir    string   `placeholder:"DIR" help:"The folder of originals (default: that of the configuration, or /var/lib/gomilter/kept)."`
	State  string   `placeholder:"DIR" help:"The daemon's state folder (default: that of the configuration; with --dir alone, the one that holds it)."`
}

// find fills in the folders that no flag names, and returns the options of the store.
func (p *keptPlace) find() (o quarantine.Options, err error) {
	const file, dir = "/etc/gomilter/gomilter.toml", "/var/lib/gomilter/kept"
	files := p.Config
	if files == nil && p.Dir == "" {
		if _, err := os.Stat(file); err == nil {
			files = []string{file}
		}
	}
	if files != nil {
		src, err := config.Load(files...)
		if err != nil {
			return o, exitf(exitConfig, "%w (the folders can be named with --dir and --state)", err)
		}
		c, problems := src.Parse()
		if err := problems.Err(); err != nil {
			return o, exitf(exitConfig, "%w (the folders can be named with --dir and --state)", err)
		}
		p.Dir, p.State, o = cmp.Or(p.Dir, c.Kept.Dir), cmp.Or(p.State, c.StateDir), c.Kept.Options()
	}
	p.Dir = cmp.Or(p.Dir, dir)
	p.State = cmp.Or(p.State, filepath.Dir(filepath.Clean(p.Dir)))
	return o, nil
}

// open opens the store, which is not made where there is none.
func (p *keptPlace) open() (*quarantine.Store, error) {
	o, err := p.find()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, exitf(exitUnavailable, "%s: there is no such folder; name that of the originals with --dir", p.Dir)
	} else if err != nil {
		return nil, keptError(err)
	}
	s, err := quarantine.Open(p.Dir, o)
	return s, keptError(err)
}

// marks opens, after the store, what makes marks that the daemon knows.
func (p *keptPlace) marks() (*release.Marks, error) {
	m, err := release.Open(p.State, release.Options{})
	return m, keptError(err)
}

// keptError gives an error of the folder its exit code.
func keptError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	case errors.Is(err, quarantine.ErrEntry):
		return exit(exitData, err)
	}
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	return exit(exitUnavailable, err)
}

// keptRefError gives an error of one reference its exit code.
func keptRefError(ref string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return exitf(exitData, "%s: nothing is kept under it", ref)
	}
	_, path := errors.AsType[*fs.PathError](err)
	_, told := errors.AsType[*exitError](err)
	if err != nil && !path && !told { // what the entry says makes no sense
		return exitf(exitData, "%s: %w", ref, err)
	}
	return keptError(err)
}

// checkRefs tells of what is neither a reference of an original nor the one at the
// end of a reply.
func checkRefs(refs []string) error {
	for _, ref := range refs {
		if !quarantine.ValidRef(ref) && !replyRef.MatchString(ref) {
			return exitf(exitUsage, "%q is no reference: those are 20 digits and small letters, such as 01kat2v6c0zz4r9e8m3x, or the 10 at the end of a reply", ref)
		}
	}
	return nil
}

// replyRef is the reference that ends the text of a reply and stands in the log.
var replyRef = regexp.MustCompile(`^[0-9a-z]{10}$`)

// originals puts the references of originals in the place of those of replies.
func originals(ctx context.Context, store *quarantine.Store, refs []string) ([]string, error) {
	var found []string
	for _, ref := range refs {
		n := len(found)
		if quarantine.ValidRef(ref) {
			found = append(found, ref)
			continue
		}
		for e, err := range store.List(ctx) {
			if err == nil && e.Explanation == ref {
				found = append(found, e.Ref)
			}
		}
		if len(found) == n {
			return nil, exitf(exitData, "%s: nothing is kept of the message with this reference", ref)
		}
	}
	return found, nil
}

// tellAll tells all errors but the last, which it returns. The exit code is that of
// the first that will not go away by trying again.
func tellAll(std stdio, errs []error) error {
	code := exitTemporary
	for i, err := range errs {
		if e, ok := errors.AsType[*exitError](err); ok && code == exitTemporary {
			code = e.code
		}
		if i < len(errs)-1 {
			fmt.Fprintf(std.err, "gomilter: %v\n", err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return exit(code, errs[len(errs)-1])
}

type keptListCmd struct {
	Filter string        `placeholder:"NAME" help:"Only those that this filter kept."`
	From   string        `placeholder:"GLOB" help:"Only those from such a sender, as in *@example.com; \"\" is the null sender." default:"*"`
	Rcpt   string        `placeholder:"GLOB" help:"Only those to such a recipient." default:"*"`
	Since  time.Duration `placeholder:"TIME" help:"Only those kept in this time until now: 90m, 2h, 7d."`
	JSON   bool          `help:"Print one JSON object for each."`
}

// rows is after how many lines the table's columns are set anew, so that much is
// shown as it is read.
const rows = 200

const keptHead = "REFERENCE\tKEPT\tBYTES\tFROM\tTO\tFILTER\tREASON"

// keptRow returns the row of an entry under keptHead.
func keptRow(e quarantine.Entry) string {
	return fmt.Sprintf("%s\t%s\t%d\t%s\t%s\t%s\t%s", e.Ref, e.Time.Local().Format(time.DateTime), e.Size,
		bracket(e.From), recipients(e.Rcpts), printable(e.Filter), printable(e.Reason))
}

func (c *keptListCmd) Run(k *keptCmd, std stdio) error {
	ctx, stop := untilSignal()
	defer stop()
	store, err := k.open()
	if err != nil {
		return err
	}
	from, rcpt := glob(c.From), glob(c.Rcpt)
	var errs []error
	n := 0
	tw := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for e, err := range store.List(ctx) {
		switch {
		case err != nil:
			errs = append(errs, keptRefError(cmp.Or(e.Ref, k.Dir), err))
			continue
		case c.Since > 0 && time.Since(e.Time) > c.Since:
			continue
		case c.Filter != "" && e.Filter != c.Filter, !from.MatchString(e.From), !matchAny(rcpt, e.Rcpts, c.Rcpt):
			continue
		}
		if c.JSON {
			line, err := json.Marshal(e)
			if err != nil {
				errs = append(errs, exitf(exitData, "%s: %w", e.Ref, err))
				continue
			}
			if _, err := fmt.Fprintf(std.out, "%s\n", line); err != nil {
				return exit(exitCantCreate, err)
			}
			continue
		}
		if n == 0 {
			fmt.Fprintln(tw, keptHead)
		}
		fmt.Fprintln(tw, keptRow(e))
		if n++; n%rows == 0 {
			if err := tw.Flush(); err != nil {
				return exit(exitCantCreate, err)
			}
		}
	}
	if err := tw.Flush(); err != nil {
		return exit(exitCantCreate, err)
	}
	return tellAll(std, errs)
}

// bracket shows an address to people.
func bracket(addr string) string { return "<" + printable(addr) + ">" }

// recipients shows the first few.
func recipients(list []string) string {
	const show = 3
	var b strings.Builder
	for i, r := range list[:min(len(list), show)] {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(bracket(r))
	}
	if more := len(list) - show; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// glob returns what matches a pattern in which * stands for any text and ? for any
// letter; letters match in either case.
func glob(pattern string) *regexp.Regexp {
	return regexp.MustCompile("(?is)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$")
}

func matchAny(re *regexp.Regexp, list []string, pattern string) bool {
	for _, s := range list {
		if re.MatchString(s) {
			return true
		}
	}
	return pattern == "*"
}

type keptGetCmd struct {
	Ref    string `arg:"" help:"The reference."`
	Output string `default:"-" placeholder:"FILE" help:"Write to this file (0600); - is standard output (default: ${default})."`
	Entry  bool   `help:"Write what is known of it, as JSON, instead."`
}

func (c *keptGetCmd) Run(k *keptCmd, std stdio) error {
	if err := checkRefs([]string{c.Ref}); err != nil {
		return err
	}
	store, err := k.open()
	if err != nil {
		return err
	}
	refs, err := originals(context.Background(), store, []string{c.Ref})
	if err != nil {
		return err
	}
	e, raw, err := store.Get(refs[0]) // the newest
	if err != nil {
		return keptRefError(c.Ref, err)
	}
	defer raw.Close()
	var from io.Reader = &checkedReader{r: raw, e: e, h: sha256.New()}
	if c.Entry {
		b, err := json.Marshal(e)
		if err != nil {
			return exitf(exitData, "%s: %w", c.Ref, err)
		}
		from = strings.NewReader(string(b) + "\n")
	}
	to := std.out
	if c.Output != "-" {
		f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return exit(exitCantCreate, err)
		}
		defer f.Close()
		to = f
	}
	if _, err := io.Copy(to, from); err != nil {
		if errors.Is(err, errSpoilt) {
			return exitf(exitData, "%s: %w", c.Ref, err)
		}
		return exit(exitCantCreate, err)
	}
	if f, ok := to.(*os.File); ok && c.Output != "-" {
		return exit(exitCantCreate, f.Close())
	}
	return nil
}

// errSpoilt is returned for an original that is not what was kept.
var errSpoilt = errors.New("the file has changed since it was kept")

// A checkedReader reads an original. Its last error is errSpoilt instead of io.EOF
// when what was read is not what was kept.
type checkedReader struct {
	r io.Reader
	e quarantine.Entry
	h interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.h.Write(p[:n])
	if err == io.EOF && [sha256.Size]byte(c.h.Sum(nil)) != c.e.SHA256 {
		err = errSpoilt
	}
	return n, err
}

type keptReleaseCmd struct {
	Ref    []string `arg:"" help:"The references."`
	Server string   `default:"127.0.0.1:25" placeholder:"HOST:PORT" help:"The MTA that takes them (default: ${default})."`
	To     []string `placeholder:"ADDR" sep:"none" help:"Send to this address, instead of the original recipients. May be repeated."`
	Keep   bool     `help:"Go on keeping them."`
}

func (*keptReleaseCmd) Help() string {
	return `They go to the original recipients from the original sender, by SMTP to the MTA, with a mark
by which the daemon there knows them and lets each pass its filters once. The mark is good for
an hour and is taken out again. It is made with a key in the state folder, so this runs on the
daemon's host, as root or as its user.

An original is removed when all recipients were accepted and the daemon let it pass. When
some were not, they are named and it is kept: release it again with --to.`
}

func (c *keptReleaseCmd) Run(k *keptCmd, std stdio) error {
	if err := checkRefs(c.Ref); err != nil {
		return err
	}
	server, err := serverAddress(c.Server)
	if err != nil {
		return exit(exitUsage, err)
	}
	for i, to := range c.To {
		to = strings.TrimSuffix(strings.TrimPrefix(to, "<"), ">")
		if to == "" || strings.ContainsAny(to, "\r\n\x00<> ") {
			return exitf(exitUsage, "--to %q is no address", c.To[i])
		}
		c.To[i] = to
	}
	ctx, stop := untilSignal()
	defer stop()
	store, err := k.open()
	if err != nil {
		return err
	}
	marks, err := k.marks()
	if err != nil {
		return err
	}
	refs, err := originals(ctx, store, c.Ref)
	if err != nil {
		return err
	}
	var errs []error
	for _, ref := range refs {
		if ctx.Err() != nil {
			errs = append(errs, exitf(exitTemporary, "%s: not released: interrupted", ref))
			break
		}
		errs = append(errs, c.release(ctx, std, store, marks, k.State, server, ref)...)
	}
	return tellAll(std, errs)
}

// release sends one original. The errors are what there is to tell of it.
func (c *keptReleaseCmd) release(ctx context.Context, std stdio, store *quarantine.Store, marks *release.Marks, state, server, ref string) []error {
	e, raw, err := store.Get(ref)
	if err != nil {
		return []error{keptRefError(ref, err)}
	}
	mark, err := marks.Mark(ref, &checkedReader{r: raw, e: e, h: sha256.New()})
	raw.Close()
	if err != nil {
		return []error{keptRefError(ref, err)}
	}
	m := outgoing{from: e.From, rcpts: e.Rcpts, size: int64(len(mark)) + e.Size}
	if len(c.To) > 0 {
		m.rcpts = c.To
	}
	if len(m.rcpts) == 0 {
		return []error{exitf(exitData, "%s: it has no recipients; name some with --to", ref)}
	}
	if _, raw, err = store.Get(ref); err != nil {
		return []error{keptRefError(ref, err)}
	}
	defer raw.Close()
	m.data = io.MultiReader(strings.NewReader(mark), raw)
	sent, err := m.send(ctx, server)
	// A mark that nobody took out would be good for whoever gets the message, and also
	// for one that broke off on its way.
	var used bool
	var unknown error
	if sent.begun {
		used, unknown = marks.Void(mark)
	}
	var errs []error
	for _, r := range sent.refused {
		errs = append(errs, exitf(smtpExit(r.err), "%s: %s is refused: %w", ref, bracket(r.addr), smtpText(r.err)))
	}
	if err == nil {
		fmt.Fprintf(std.out, "%s released to %s: %s\n", ref, allBracketed(sent.accepted), printable(sent.reply))
	}
	switch {
	case err != nil && len(sent.accepted) == 0 && len(errs) > 0:
		errs = append(errs, exitf(smtpExit(err), "%s: not released, and still kept", ref))
	case err != nil:
		errs = append(errs, exitf(smtpExit(err), "%s: not released, and still kept: %w", ref, smtpText(err)))
	}
	switch {
	case unknown != nil:
		return append(errs, keptError(fmt.Errorf("%s: still kept: whether the daemon knew the mark cannot be found out, and it may be good for an hour: %w", ref, unknown)))
	case err != nil:
		if _, told := errors.AsType[*smtp.SMTPError](err); used && !told {
			errs = append(errs, exitf(smtpExit(err), "%s: the daemon let it pass, so it may have been delivered", ref))
		}
		return errs
	case !used:
		return append(errs, exitf(exitUnavailable, "%s: still kept: the daemon did not let it pass, and may have filtered it as any other mail; does %s ask it, and is %s its state folder?", ref, server, state))
	}
	if len(errs) > 0 {
		return append(errs, exitf(smtpExit(sent.refused[0].err), "%s: still kept for those who were refused; name them with --to to try again", ref))
	}
	if c.Keep {
		return nil
	}
	if err := store.Remove(ref); err != nil && !errors.Is(err, fs.ErrNotExist) { // another purged it
		return []error{keptError(fmt.Errorf("%s: released, but still kept: %w", ref, err))}
	}
	return nil
}

func allBracketed(list []string) string {
	var b strings.Builder
	for i, r := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(bracket(r))
	}
	return b.String()
}

type keptPurgeCmd struct {
	Ref    []string      `arg:"" optional:"" help:"The references."`
	Older  time.Duration `placeholder:"TIME" help:"All that were kept longer ago than this: 12h, 7d."`
	DryRun bool          `help:"Only say which."`
}

func (c *keptPurgeCmd) Run(k *keptCmd, std stdio) error {
	switch {
	case len(c.Ref) == 0 && c.Older == 0:
		return exitf(exitUsage, "name references, or an age, as in --older 7d")
	case len(c.Ref) > 0 && c.Older > 0:
		return exitf(exitUsage, "--older chooses by itself; leave the references out")
	}
	if err := checkRefs(c.Ref); err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	store, err := k.open()
	if err != nil {
		return err
	}
	refs, err := originals(ctx, store, c.Ref)
	if err != nil {
		return err
	}
	var errs []error
	n, bytes := 0, int64(0)
	purge := func(ref string, size int64) {
		if !c.DryRun {
			if err := store.Remove(ref); err != nil {
				errs = append(errs, keptRefError(ref, err))
				return
			}
		}
		n, bytes = n+1, bytes+size
		fmt.Fprintln(std.out, ref)
	}
	for _, ref := range refs {
		e, raw, err := store.Get(ref)
		if err == nil {
			raw.Close()
		}
		if errors.Is(err, fs.ErrNotExist) || c.DryRun && err != nil {
			errs = append(errs, keptRefError(ref, err))
			continue
		}
		purge(ref, e.Size) // also where the entry makes no sense
	}
	if c.Older > 0 {
		for e, err := range store.List(ctx) {
			if err != nil {
				errs = append(errs, keptRefError(cmp.Or(e.Ref, k.Dir), err))
			} else if time.Since(e.Time) > c.Older {
				purge(e.Ref, e.Size)
			}
		}
	}
	what := "removed"
	if c.DryRun {
		what = "would be removed"
	}
	fmt.Fprintf(std.err, "gomilter: %d %s, messages of %d bytes\n", n, what, bytes)
	return tellAll(std, errs)
}
