package config

import (
	"io/fs"
	"net/netip"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/quarantine"
)

// A Config is what the files say, with the defaults where they say nothing. It is
// not to be changed.
//
// The tags of its fields name the keys; "doc" is the text of the reference, and
// "opt" has what a key takes besides values of its type.
type Config struct {
	User     string `toml:"user" doc:"the user to go on as when started as root, once the sockets are open"`
	StateDir string `toml:"state_dir" opt:"path" doc:"the folder for what outlives the process"`

	Log     Log     `toml:"log" doc:"where the log goes"`
	HTTP    HTTP    `toml:"http" doc:"metrics and health checks"`
	Control Control `toml:"control" doc:"the socket for gomilter ctl"`
	Kept    Kept    `toml:"kept" doc:"originals: messages as they came, kept before a filter changes or refuses them or when it fails"`
	Network Network `toml:"network" doc:"which clients are our own; it decides the class of a message"`
	DNS     DNS     `toml:"dns" doc:"who is asked about names"`
	Spool   Spool   `toml:"spool" doc:"where messages are while they are looked at"`
	Watch   Watch   `toml:"watch" doc:"files that are read again when they change"`

	Timeouts Timeouts `toml:"timeouts" doc:"the times of all listeners; a listener may have its own"`
	Limits   Limits   `toml:"limits" doc:"the limits of all listeners; a listener may have its own"`

	Listeners []Listener `toml:"listener" doc:"a socket for mail servers, and the filters behind it"`
	Filters   []Filter   `toml:"filter" doc:"the filters, in the order of the files"`

	places    places
	listFiles []string
	listInfo  map[string]fs.FileInfo
	asked     *lookups
}

// Log says where the log goes.
type Log struct {
	To       string      `toml:"to" opt:"log" doc:"\"stderr\", \"syslog\" (facility mail), or the path of a file"`
	Format   LogFormat   `toml:"format" doc:"how lines are written"`
	Level    LogLevel    `toml:"level" doc:"the least that is logged"`
	Tags     bool        `toml:"tags" doc:"add to the line of a message the words pymilter's application logged, such as REJECT, as tag=; for scripts that read them"`
	Evidence bool        `toml:"evidence" doc:"write out what filters quote of a message, such as the Subject that met a rule; without, \"...\" stands for it. It is the private mail of others: who reads the log reads it too"`
	Mode     fs.FileMode `toml:"mode" doc:"permissions of the file"`
}

// A LogFormat is how lines of the log are written.
type LogFormat string

// The formats.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// A LogLevel is how much is logged.
type LogLevel string

// The levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// HTTP is the listener for metrics and health.
type HTTP struct {
	Listen string `toml:"listen" opt:"socket" doc:"where /metrics, /healthz and /readyz are served, such as \"127.0.0.1:9109\"; empty for nowhere"`
}

// Control is the socket for commands.
type Control struct {
	Socket string      `toml:"socket" opt:"path" doc:"the path of the socket; empty for none"`
	Mode   fs.FileMode `toml:"mode" doc:"its permissions; who may write to it may stop the filter and read originals"`
}

// Kept is where originals are kept, and for how long.
type Kept struct {
	Enabled     bool          `toml:"enabled" doc:"keep originals; filters that replace parts cannot work without"`
	Dir         string        `toml:"dir" opt:"path" doc:"the folder; the default is kept in state_dir"`
	MaxSize     Size          `toml:"max_size" opt:"min=1" doc:"of all that is kept; when it is full, messages that must be kept are answered tempfail"`
	MaxMessages int           `toml:"max_messages" opt:"min=1" doc:"how many are kept"`
	MaxEntry    Size          `toml:"max_entry" opt:"min=1024" doc:"of the description of one message: its recipients and why it was kept"`
	MaxSame     int           `toml:"max_same" opt:"min=1" doc:"how many originals of one content on which filters failed"`
	MaxAge      time.Duration `toml:"max_age" opt:"none" doc:"how long they are kept"`
	DropOldest  bool          `toml:"drop_oldest" doc:"remove the oldest before their time where there is no room for another"`
}

// Options returns the limits of the store of originals; its Alert and Now are nil.
func (k Kept) Options() quarantine.Options {
	return quarantine.Options{MaxBytes: int64(k.MaxSize), MaxEntries: k.MaxMessages, MaxEntry: int64(k.MaxEntry),
		MaxAge: k.MaxAge, MaxSame: k.MaxSame, DropOldest: k.DropOldest}
}

// Network says which clients are our own.
type Network struct {
	Internal      []netip.Prefix `toml:"internal" doc:"addresses and networks of our own hosts; their mail is of class internal"`
	TrustedRelays []netip.Prefix `toml:"trusted_relays" doc:"addresses and networks of hosts that pass on mail of others and whose header fields may be believed; class trusted-relay"`
}

// Spool is where messages are while they are looked at.
type Spool struct {
	Dir         string `toml:"dir" opt:"path" doc:"the folder for temporary files; empty for the system's"`
	Memory      Size   `toml:"memory" opt:"min=1" doc:"bytes of a body kept in memory, the rest goes to a file without a name"`
	PartsMemory Size   `toml:"parts_memory" opt:"min=1" doc:"the same for what is unpacked from a message and put in its place"`
}

// Watch says which files are read again when they change.
type Watch struct {
	Lists bool `toml:"lists" doc:"load the configuration anew when a file named by \"file:PATH\" changes"`
}

// Timeouts are those of a listener.
type Timeouts struct {
	Idle     time.Duration `toml:"idle" opt:"none" doc:"between two commands of the mail server"`
	Frame    time.Duration `toml:"frame" opt:"none" doc:"from the first byte of a command to its last"`
	Write    time.Duration `toml:"write" opt:"none" doc:"for one write to the mail server"`
	Stage    time.Duration `toml:"stage" opt:"none" doc:"for an answer before the end of the message; Sendmail waits 10 s"`
	End      time.Duration `toml:"end" opt:"none" doc:"for an answer at the end of the message; Sendmail and Postfix wait 300 s"`
	Progress time.Duration `toml:"progress" opt:"none" doc:"between signs of life to the mail server at the end of the message"`
	Stop     time.Duration `toml:"stop" opt:"none" doc:"for running messages when the listener stops"`

	FiltersStage time.Duration `toml:"filters_stage" doc:"for all filters of the chain together before the end of the message; less than stage, the default is 7/8 of it"`
	FiltersEnd   time.Duration `toml:"filters_end" doc:"for all filters of the chain together at the end of the message; less than end, the default is 15/16 of it"`
}

// Limits are those of a listener.
type Limits struct {
	Connections      int  `toml:"connections" opt:"none" doc:"connections of mail servers; further ones are answered tempfail"`
	Rcpts            int  `toml:"rcpts" opt:"none" doc:"recipients of a message; further ones are answered 452"`
	Headers          int  `toml:"headers" opt:"none" doc:"header fields of a message; more are answered 552"`
	HeaderBytes      Size `toml:"header_bytes" opt:"none" doc:"their bytes; more are answered 552"`
	Macros           int  `toml:"macros" opt:"none" doc:"macros at one stage; further ones are left out"`
	EditBytes        Size `toml:"edit_bytes" opt:"none" doc:"edits queued for a message, without the body"`
	FrameBytes       Size `toml:"frame_bytes" opt:"none" doc:"memory of commands that have begun to arrive, on all connections of the listener"`
	Abandoned        int  `toml:"abandoned" opt:"none" doc:"hooks past their time that still run; while there are as many, new connections are answered tempfail"`
	FiltersAbandoned int  `toml:"filters_abandoned" opt:"none" doc:"the same for the hooks of single filters; while there are as many, messages are answered tempfail"`

	MIMEDepth   int  `toml:"mime_depth" opt:"min=1" doc:"parts inside parts that are looked at"`
	MIMEParts   int  `toml:"mime_parts" opt:"min=1" doc:"parts of a message that are looked at"`
	MIMEHeader  Size `toml:"mime_header" opt:"min=1" doc:"bytes kept of the headers of all parts"`
	MIMEDecoded Size `toml:"mime_decoded" opt:"min=1" doc:"bytes of attached messages and texts that are unpacked from an encoding"`
}

// A Listener is a socket for MTAs, and the filters behind it.
type Listener struct {
	Name     string              `toml:"name" doc:"its name in logs, metrics and answers to failed messages; the default is gomilter, or gomilter-N where there are several"`
	Socket   string              `toml:"socket" opt:"socket" doc:"where mail servers find it: unix:/path, inet:port@host, inet6:port@[host], host:port or fd://N"`
	Mode     fs.FileMode         `toml:"mode" doc:"permissions of a unix socket; the mail server has to write to it"`
	Owner    string              `toml:"owner" doc:"owner of a unix socket, a name or a number; the default is the process's own"`
	Group    string              `toml:"group" doc:"group of a unix socket, a name or a number; the mail server should be in it"`
	Filters  []string            `toml:"chain" opt:"nofile" doc:"the names of its filters, in the order they are asked"`
	OnFault  milter.FaultPolicy  `toml:"on_fault" doc:"the answer when the chain itself breaks, past all that filters' on_error says"`
	Disagree filter.Disagreement `toml:"disagree" doc:"what happens where filters refuse a message for some of its recipients only, after DATA: the strictest answer for all, delivery to all (lenient), delivery to the others (drop), or tempfail for all"`

	Submission  bool `toml:"submission" doc:"the clients are our own users, who authenticate later: refusals at connect and HELO do not apply"`
	HoldRejects bool `toml:"hold_rejects" doc:"hold refusals at connect, HELO and MAIL until RCPT, so that recipients are logged and AUTH can cancel them"`

	Timeouts Timeouts `toml:"timeouts" doc:"the times of this listener; those it does not name are those of [timeouts]"`
	Limits   Limits   `toml:"limits" doc:"the limits of this listener; those it does not name are those of [limits]"`

	config *Config
}

// A Filter is a table [filter.NAME]: what its admin wants of a filter.
type Filter struct {
	Name string `toml:"-"`

	Kind     string          `toml:"kind" doc:"what it does; the default is its name"`
	Mode     filter.Mode     `toml:"mode" doc:"on; report: it is asked, and only the explanation says what it wanted; off"`
	OnError  filter.OnError  `toml:"on_error" doc:"what happens to a message on which it fails: tempfail, reject, accept as the filters before left it, or skip the filter"`
	OnRepeat filter.OnRepeat `toml:"on_repeat" doc:"what happens when it fails on the same content for the third time: as on_error says (tempfail), hold the message in the mail server's queue (quarantine), or skip the filter"`
	Timeout  time.Duration   `toml:"timeout" opt:"zero" doc:"for one hook of it; 0 for as long as the stage has left"`
	Applies  Applies         `toml:"applies" doc:"the messages it is asked about; without, all"`

	// Options is the table of its kind: *Attachments, *HTML, *Headers, *Scan or *Access.
	Options any `toml:"-"`
}

// Applies says which messages a filter is asked about: those that meet every key.
type Applies struct {
	Class    []filter.Class `toml:"class" example:"[\"external\"]" doc:"of these classes"`
	NotClass []filter.Class `toml:"not_class" example:"[\"authenticated\"]" doc:"of none of these classes"`

	From      []string `toml:"from" example:"[\"@example.com\", \"bounces-*@example.net\"]" doc:"from one of these senders: user@domain, @domain, <> for the null sender; with wildcards * and ?"`
	NotFrom   []string `toml:"not_from" example:"[\"<>\"]" doc:"from none of these senders"`
	Rcpts     []string `toml:"rcpts" example:"[\"postmaster@example.com\"]" doc:"for one of these recipients at least; written like senders"`
	NotRcpts  []string `toml:"not_rcpts" example:"[\"abuse@example.com\"]" doc:"for one recipient at least that is none of these"`
	Client    []string `toml:"client" example:"[\"192.0.2.0/24\", \"*.example.com\"]" doc:"from one of these clients: addresses, networks, or names with wildcards"`
	NotClient []string `toml:"not_client" example:"[\"2001:db8::/32\"]" doc:"from none of these clients"`
}

// ListFiles returns the absolute paths of the files that lists are read from, each
// once.
func (c *Config) ListFiles() []string { return c.listFiles }

// ListInfo returns what os.Stat told of one of ListFiles right before it was read: who
// looks again later finds every change since. It is nil where that was an error.
func (c *Config) ListInfo(path string) fs.FileInfo { return c.listInfo[path] }
