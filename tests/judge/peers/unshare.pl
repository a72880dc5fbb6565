#!/usr/bin/perl
# syscall(2) by number, and what perl has itself.
use strict;
use warnings;
use POSIX ();

my (undef, @args) = @ARGV;
my $root;
(undef, $root) = splice @args, 0, 2 if $args[0] eq '--rootfs';
my ($unshare, $mount) = (`uname -m` =~ /x86/) ? (272, 165) : (97, 40);
syscall($unshare, 0x20000 | 0x20000000) == 0 or die "unshare: $!\n";
defined(my $pid = fork) or die "fork: $!\n";
if (!$pid) {
    my ($none, $top, $proc) = ("none", "/", "proc");
    syscall($mount, $none, $top, 0, 1 << 18 | 16384, 0) == 0 or die "private: $!\n";
    if (defined $root) { chroot $root or die "chroot: $!\n"; chdir '/' }
    my $to = "/proc";
    syscall($mount, $proc, $to, $proc, 0, 0) == 0 or die "proc: $!\n";
    exec { $args[0] } @args;
    die "$args[0]: $!\n";
}
$SIG{TERM} = sub { kill KILL => $pid };
1 while waitpid($pid, 0) == -1 && $!{EINTR};
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
