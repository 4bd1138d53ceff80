// Package dns asks the questions about names that checks of mail ask, and remembers the
// answers for a short time.
//
// A mail server should have a caching resolver on the same machine (unbound, knot-resolver,
// systemd-resolved, BIND), and ask that: it knows how long each answer may be kept, and
// validates it. What is kept here, in a [Cache] that all filters share, is to save the
// many questions of one message, and of the messages that come with it, the way there:
//
//   - an answer, and that there is none, for a fixed time (5 minutes): a record that is
//     mended in DNS is seen after that at the latest, when the resolver sees it;
//   - that a server failed or did not answer, for a moment (5 s): so that a dead server
//     costs the messages that need it one timeout, not each of them one;
//   - nothing that was not asked for. A name server is believed in what it was asked, by
//     the resolver behind; additional records are not looked at.
//
// Who sends mail says which names are looked up. So a [Cache] has a bounded number of
// look-ups under way, ends those that nobody waits for any more, and lets those below one
// domain have a part only of what is free. With what is usual (1024 slots, a 16th a domain)
// one dead domain takes 60 of them, however many ask for it; 16 take half; 256 leave 60, and
// it takes a thousand that are dead at the same time to make others wait.
//
// Names are looked up as they stand, with a final dot: the search list of the system
// never makes "mail" mean "mail.example.com".
//
// [System] asks name servers; [Zone] answers from a file, for tests and for trying
// things out. [CheckReverse] and [MailHosts] are what several filters ask.
package dns
