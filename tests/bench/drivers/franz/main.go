// franz-go: jobs in and results out as JSON, one object a line, as the other drivers.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	poolBytes = 2_000_000
	poolLimit = 20_000
)

type settings struct {
	Acks           int    `json:"acks"`
	Idempotence    bool   `json:"idempotence"`
	LingerMs       int    `json:"linger_ms"`
	BatchSize      int32  `json:"batch_size"`
	MaxRequestSize int32  `json:"max_request_size"`
	InFlight       *int   `json:"in_flight"`
	Codec          string `json:"codec"`
	Level          *int   `json:"level"`
	BufferBytes    int    `json:"buffer_bytes"`
}

type job struct {
	BootstrapServers string   `json:"bootstrap_servers"`
	Sink             string   `json:"sink"`
	Topic            string   `json:"topic"`
	Count            int      `json:"count"`
	Size             int      `json:"size"`
	Settings         settings `json:"settings"`
}

func options(one job) []kgo.Opt {
	wanted := one.Settings
	found := []kgo.Opt{
		kgo.SeedBrokers(one.BootstrapServers),
		kgo.DefaultProduceTopic(one.Topic),
		kgo.ProducerLinger(time.Duration(wanted.LingerMs) * time.Millisecond),
		kgo.ProducerBatchMaxBytes(wanted.BatchSize),
		kgo.MaxBufferedRecords(10_000_000),
		kgo.MaxBufferedBytes(wanted.BufferBytes),
	}
	// The mock's answer to a newer first request cannot be read.
	if one.Sink == "mock" {
		found = append(found, kgo.MaxVersions(kversion.V2_0_0()))
	}
	switch wanted.Acks {
	case 0:
		found = append(found, kgo.RequiredAcks(kgo.NoAck()))
	case 1:
		found = append(found, kgo.RequiredAcks(kgo.LeaderAck()))
	default:
		found = append(found, kgo.RequiredAcks(kgo.AllISRAcks()))
	}
	// With idempotence it has five requests in flight and takes no other number.
	if !wanted.Idempotence {
		found = append(found, kgo.DisableIdempotentWrite())
		if wanted.InFlight != nil {
			found = append(found, kgo.MaxProduceRequestsInflightPerBroker(*wanted.InFlight))
		}
	}
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[wanted.Codec]
	if wanted.Level != nil {
		codec = codec.WithLevel(*wanted.Level)
	}
	return append(found, kgo.ProducerBatchCompression(codec))
}

// pool has different values that compress like text does.
func pool(size int) [][]byte {
	chance := rand.New(rand.NewSource(int64(size)))
	letters := "etaoinshrdlu"
	words := make([][]byte, 500)
	for number := range words {
		for left := 2 + chance.Intn(8); left > 0; left-- {
			words[number] = append(words[number], letters[chance.Intn(len(letters))])
		}
	}
	values := make([][]byte, max(32, min(poolLimit, poolBytes/size)))
	var text []byte
	for number := range values {
		for len(text) < size {
			text = append(append(text, words[chance.Intn(len(words))]...), ' ')
		}
		values[number] = append([]byte(nil), text[:size]...)
		text = text[size:]
	}
	return values
}

func cpu() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// throughput sends everything with a callback for each record; connecting is not timed.
func throughput(one job) (map[string]any, error) {
	values := pool(one.Size)
	client, err := kgo.NewClient(options(one)...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx := context.Background()
	if err := client.ProduceSync(ctx, kgo.SliceRecord(values[0])).FirstErr(); err != nil {
		return nil, err
	}
	var done, offsets int64
	var failed atomic.Value
	report := func(record *kgo.Record, err error) {
		if err != nil {
			failed.Store(err.Error())
			return
		}
		offsets += record.Offset
		done++
	}
	used, began := cpu(), time.Now()
	for number := 0; number < one.Count; number++ {
		client.Produce(ctx, kgo.SliceRecord(values[number%len(values)]), report)
	}
	if err := client.Flush(ctx); err != nil {
		return nil, err
	}
	answer := map[string]any{
		"seconds": time.Since(began).Seconds(), "cpu": cpu() - used, "acknowledged": done, "extra": 1,
	}
	if reason := failed.Load(); reason != nil {
		return nil, fmt.Errorf("%v", reason)
	}
	return answer, nil
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var one job
		err := json.Unmarshal(in.Bytes(), &one)
		var answer map[string]any
		if err == nil {
			answer, err = throughput(one)
		}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		_ = out.Encode(answer)
	}
}
