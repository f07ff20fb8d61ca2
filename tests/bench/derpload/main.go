// derpload loads a DERP relay over TLS and says what it cost the relay. It knows the protocol from the wire up
// (TLS, the HTTP upgrade, the sealed hello, frames), so it measures any relay in the same way:
//
//	derpload -addr 127.0.0.1:8443 -name relay.test -pid 4711 -pairs 10 -seconds 4
//	derpload ... -rate 15000          packets per second over all pairs: latency percentiles
//	derpload ... -idle 1000           memory per client that says nothing
//
// A pair is a sender and a receiver. Without -rate each sender keeps -window packets on their way and writes
// -burst of them at once; packets that do not arrive within a moment are taken for lost and their places in the
// window are free again. One line of JSON goes to standard output. Several processes of one relay: -pid 1,2,3.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/nacl/box"
)

const (
	typeServerKey  = 1
	typeClientInfo = 2
	typeServerInfo = 3
	typeSend       = 4
	typeReceive    = 5

	head     = 5
	keyBytes = 32
	magic    = "DERP\xf0\x9f\x94\x91"

	warmUp = 700 * time.Millisecond
	lostIn = 100 * time.Millisecond
)

type options struct {
	addr, name, pids           string
	pairs, size, window, burst int
	rate, idle                 int
	seconds                    float64
}

// end is one connection after its handshake.
type end struct {
	conn net.Conn
	in   *bufio.Reader
	key  [keyBytes]byte
}

func connect(o options) (*end, error) {
	conn, err := tls.Dial("tcp", o.addr, &tls.Config{
		ServerName: o.name, InsecureSkipVerify: true, DynamicRecordSizingDisabled: true,
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(conn, "GET /derp HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n", o.name)
	e := &end{conn: conn, in: bufio.NewReaderSize(conn, 128<<10)}
	if err := e.upgraded(); err != nil {
		return nil, err
	}
	return e, e.shakeHands()
}

func (e *end) upgraded() error {
	status, err := e.in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		return fmt.Errorf("the upgrade was answered with %q", status)
	}
	for line := status; strings.TrimSpace(line) != ""; {
		if line, err = e.in.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

func (e *end) shakeHands() error {
	kind, greeting, err := e.frame()
	if err != nil {
		return err
	}
	if kind != typeServerKey || len(greeting) < len(magic)+keyBytes || string(greeting[:len(magic)]) != magic {
		return fmt.Errorf("the first frame is %#x, not the relay's key", kind)
	}
	relay := [keyBytes]byte(greeting[len(magic):])
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	e.key = *public
	var nonce [24]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	sealed := box.Seal(nonce[:], []byte(`{"version":2,"CanAckPings":true}`), &nonce, &relay, private)
	if _, err := e.conn.Write(slices.Concat(header(typeClientInfo, keyBytes+len(sealed)), public[:], sealed)); err != nil {
		return err
	}
	if kind, _, err = e.frame(); err == nil && kind != typeServerInfo {
		err = fmt.Errorf("frame %#x came where the relay's greeting should be", kind)
	}
	return err
}

func (e *end) frame() (byte, []byte, error) {
	var h [head]byte
	if _, err := io.ReadFull(e.in, h[:]); err != nil {
		return 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(h[1:]))
	_, err := io.ReadFull(e.in, body)
	return h[0], body, err
}

func header(kind byte, length int) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, uint32(length))
}

// pair counts what one sender sent and its receiver got; news wakes a sender whose window is full.
type pair struct {
	sent, got atomic.Int64
	news      chan struct{}
}

type run struct {
	o         options
	pairs     []*pair
	done      atomic.Bool
	measuring atomic.Bool
	receivers []*end
	ended     sync.WaitGroup
	mu        sync.Mutex
	delays    []float64 // microseconds
}

func (r *run) totals() (sent, got int64) {
	for _, p := range r.pairs {
		sent += p.sent.Load()
		got += p.got.Load()
	}
	return
}

func (r *run) receive(e *end, p *pair) {
	var delays []float64
	defer func() {
		defer r.ended.Done()
		r.mu.Lock()
		r.delays = append(r.delays, delays...)
		r.mu.Unlock()
	}()
	for {
		h, err := e.in.Peek(head)
		if err != nil {
			return
		}
		kind, length := h[0], int(binary.BigEndian.Uint32(h[1:]))
		if kind == typeReceive {
			if r.o.rate > 0 && r.measuring.Load() {
				start, err := e.in.Peek(head + keyBytes + 8)
				if err != nil {
					return
				}
				at := int64(binary.LittleEndian.Uint64(start[head+keyBytes:]))
				delays = append(delays, float64(time.Now().UnixNano()-at)/1e3)
			}
			p.got.Add(1)
			select {
			case p.news <- struct{}{}:
			default:
			}
		}
		if _, err := e.in.Discard(head + length); err != nil {
			return
		}
	}
}

func (r *run) frameTo(to [keyBytes]byte) []byte {
	return slices.Concat(header(typeSend, keyBytes+r.o.size), to[:], make([]byte, r.o.size))
}

// flood keeps the window full.
func (r *run) flood(e *end, to [keyBytes]byte, p *pair) {
	burst := slices.Repeat(r.frameTo(to), r.o.burst)
	lost := int64(0)
	for !r.done.Load() {
		under := p.sent.Load() - p.got.Load() - lost
		if under+int64(r.o.burst) > int64(r.o.window) {
			select {
			case <-p.news:
			case <-time.After(lostIn):
				lost = p.sent.Load() - p.got.Load()
			}
			continue
		}
		if _, err := e.conn.Write(burst); err != nil {
			return
		}
		p.sent.Add(int64(r.o.burst))
	}
}

// pace sends so many packets per second, each with the time at which it left.
func (r *run) pace(e *end, to [keyBytes]byte, p *pair, perSecond float64) {
	frame, began := r.frameTo(to), time.Now()
	for n := 0; !r.done.Load(); {
		if due := int(time.Since(began).Seconds() * perSecond); n >= due {
			time.Sleep(150 * time.Microsecond)
			continue
		}
		binary.LittleEndian.PutUint64(frame[head+keyBytes:], uint64(time.Now().UnixNano()))
		if _, err := e.conn.Write(frame); err != nil {
			return
		}
		p.sent.Add(1)
		n++
	}
}

func (r *run) start() error {
	for range r.o.pairs {
		sender, err := connect(r.o)
		if err != nil {
			return err
		}
		receiver, err := connect(r.o)
		if err != nil {
			return err
		}
		p := &pair{news: make(chan struct{}, 1)}
		r.pairs = append(r.pairs, p)
		r.receivers = append(r.receivers, receiver)
		r.ended.Add(1)
		go io.Copy(io.Discard, sender.in)
		go r.receive(receiver, p)
		if r.o.rate > 0 {
			go r.pace(sender, receiver.key, p, float64(r.o.rate)/float64(r.o.pairs))
		} else {
			go r.flood(sender, receiver.key, p)
		}
	}
	return nil
}

// cpuSeconds is what the scheduler charged all threads of the relay.
func cpuSeconds(pids string) (total float64) {
	for pid := range strings.SplitSeq(pids, ",") {
		threads, _ := os.ReadDir("/proc/" + pid + "/task")
		for _, thread := range threads {
			text, _ := os.ReadFile("/proc/" + pid + "/task/" + thread.Name() + "/schedstat")
			if fields := strings.Fields(string(text)); len(fields) > 0 {
				nanoseconds, _ := strconv.ParseFloat(fields[0], 64)
				total += nanoseconds / 1e9
			}
		}
	}
	return
}

// memoryKB is private and shared memory in use (the proportional share where pages are shared).
func memoryKB(pids string) (total float64) {
	for pid := range strings.SplitSeq(pids, ",") {
		text, _ := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
				kb, _ := strconv.ParseFloat(fields[1], 64)
				total += kb
			}
		}
	}
	return
}

func measureIdle(o options, out map[string]float64) error {
	before := memoryKB(o.pids)
	ends := make([]*end, o.idle)
	for i := range ends {
		var err error
		if ends[i], err = connect(o); err != nil {
			return err
		}
	}
	time.Sleep(time.Second)
	out["idle_kb"] = (memoryKB(o.pids) - before) / float64(o.idle)
	return nil
}

func measureTraffic(o options, out map[string]float64) error {
	r := &run{o: o}
	if err := r.start(); err != nil {
		return err
	}
	time.Sleep(warmUp)
	r.measuring.Store(true)
	sent, got := r.totals()
	cpu, began := cpuSeconds(o.pids), time.Now()
	time.Sleep(time.Duration(o.seconds * float64(time.Second)))
	_, gotThen := r.totals()
	spent, elapsed := cpuSeconds(o.pids)-cpu, time.Since(began).Seconds()
	r.measuring.Store(false)
	packets := float64(gotThen - got)
	out["pps"] = packets / elapsed
	out["gbit"] = packets * float64(o.size) * 8 / elapsed / 1e9
	out["us"] = spent * 1e6 / packets
	out["cpu"] = spent / elapsed * 100
	// Let what is under way arrive before counting what did not.
	time.Sleep(lostIn)
	r.done.Store(true)
	time.Sleep(3 * lostIn)
	sentEnd, gotEnd := r.totals()
	for _, e := range r.receivers {
		e.conn.Close()
	}
	r.ended.Wait()
	out["lost"] = max(0, 100*(1-float64(gotEnd-got)/float64(sentEnd-sent)))
	if o.rate > 0 {
		r.percentiles(out)
	}
	return nil
}

func (r *run) percentiles(out map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.delays)
	for _, q := range []float64{50, 90, 99, 99.9} {
		if n := len(r.delays); n > 0 {
			out[fmt.Sprintf("p%g", q)] = r.delays[int(q/100*float64(n-1))]
		}
	}
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8443", "address of the relay")
	flag.StringVar(&o.name, "name", "relay.test", "name to ask for in TLS and HTTP")
	flag.StringVar(&o.pids, "pid", "", "processes of the relay")
	flag.IntVar(&o.pairs, "pairs", 1, "senders and receivers")
	flag.IntVar(&o.size, "size", 1300, "bytes of a packet")
	flag.IntVar(&o.window, "window", 24, "packets under way per pair")
	flag.IntVar(&o.burst, "burst", 4, "packets in one write")
	flag.IntVar(&o.rate, "rate", 0, "packets per second over all pairs; 0: as many as the window lets through")
	flag.IntVar(&o.idle, "idle", 0, "only connect so many clients, and measure the relay's memory")
	flag.Float64Var(&o.seconds, "seconds", 4, "how long to measure")
	flag.Parse()
	out := map[string]float64{}
	measure := measureTraffic
	if o.idle > 0 {
		measure = measureIdle
	}
	if err := measure(o, out); err != nil {
		fmt.Fprintln(os.Stderr, "derpload:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(out)
}
