// Go's net package: a goroutine per connection.
//
//	go build -o go_net main.go && ./go_net WORKERS ADDRESS
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

var (
	answerBytes = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")
	lastAnswer  = []byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")
	headEnd     = []byte("\r\n\r\n")
	plain       = []byte("GET / ")
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go_net WORKERS ADDRESS, such as 2 127.0.0.1:7001")
		os.Exit(2)
	}
	workers, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	runtime.GOMAXPROCS(workers)
	listener, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err == nil {
			go serve(connection)
		}
	}
}

// serve answers one connection to its end. Go sets TCP_NODELAY by itself.
func serve(connection net.Conn) {
	defer connection.Close()
	input := make([]byte, 4096)
	output := make([]byte, 0, 4096)
	filled := 0
	for {
		count, err := connection.Read(input[filled:])
		if err != nil {
			return
		}
		filled += count
		taken, last := answer(input[:filled], &output)
		copy(input, input[taken:filled])
		filled -= taken
		if _, err := connection.Write(output); err != nil || last {
			return
		}
		output = output[:0]
	}
}

// answer answers every whole request in input; it returns how many bytes they took, and whether
// the connection ends.
func answer(input []byte, output *[]byte) (int, bool) {
	taken := 0
	for {
		end := bytes.Index(input[taken:], headEnd)
		if end < 0 {
			return taken, false
		}
		head := input[taken : taken+end]
		taken += end + len(headEnd)
		if !bytes.HasPrefix(head, plain) && work(head) {
			*output = append(*output, lastAnswer...)
			return taken, true
		}
		*output = append(*output, answerBytes...)
	}
}

// work does what a request other than the plain one asks for; it says whether it is the last.
func work(head []byte) bool {
	if bytes.HasPrefix(head, []byte("GET /block")) {
		_ = syscall.Nanosleep(&syscall.Timespec{Nsec: 5_000_000}, nil)
	}
	return bytes.HasPrefix(head, []byte("GET /close"))
}
