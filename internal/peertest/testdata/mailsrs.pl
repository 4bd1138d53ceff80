# Speaks for Mail::SRS: each line of standard input, its words split by tabs, is a
# question, and has its answer on a line. Words of the command line: time (0 for the
# clock's), hash length, separator, secrets.
use strict; use warnings;
my $now;
BEGIN { $now = shift @ARGV; *CORE::GLOBAL::time = sub { $now || CORE::time() }; }
use Mail::SRS;
my ($length, $separator, @secrets) = @ARGV;
my $srs = Mail::SRS->new(Secret => \@secrets, HashLength => $length, Separator => $separator);
$| = 1;
local $SIG{__WARN__} = sub {};
while (<STDIN>) {
	chomp;
	my ($verb, @words) = split /\t/;
	my $answer = eval { $verb eq 'forward' ? $srs->forward(@words) : $srs->reverse(@words) };
	print defined $answer ? "ok\t$answer\n" : "no\n";
}
