package peertest

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestSendmailQueueFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
	}
	// Taken from a queue of 8.17.1, shortened.
	const envelope = "V8\nT1795343000\nK1795343000\nN1\nP30\nFs8\n$_localhost [127.0.0.1]\n$rESMTP\n${daemon_flags}\nS<a@example.com>\n" +
		"MDeferred: 450 4.2.1 later\nrRFC822; b@example.net\nRPFD:<b@example.net>\nRPFD:<c@example.net>\n" +
		"H?P?Return-Path: <$g>\nH??Received: from x\n\tby y\nH??Subject: ?odd?\n.\n"
	err := errors.Join(
		file("qfA1", envelope), file("dfA1", "body\n"),
		file("hfB2", "V8\nqlooks odd\nS<>\nRPFD:<b@example.net>\nH??Subject:v\n.\n"),
		file("qfC3", "V8\nN0\nMon its way\nS<x@example.com>\nRPFD:<b@example.net>\n.\n"),
		file("tfD4", "a file being written"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readSendmailQueue(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Queued{
		{ID: "B2", State: Quarantined, Rcpts: []string{"b@example.net"}, Reason: "looks odd", Header: Header{{"Subject", "v"}}},
		{
			ID: "A1", State: Deferred, Sender: "a@example.com", Rcpts: []string{"b@example.net", "c@example.net"},
			Reason: "Deferred: 450 4.2.1 later",
			Header: Header{{"Return-Path", " <$g>"}, {"Received", " from x\n\tby y"}, {"Subject", " ?odd?"}},
			Body:   []byte("body\n"),
		},
		{ID: "C3", State: Active, Sender: "x@example.com", Rcpts: []string{"b@example.net"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
}
