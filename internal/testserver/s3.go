package testserver

import (
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// S3Bucket is the bucket that an S3 server has.
const S3Bucket = "states"

// S3 is a server that speaks S3, conditional writes included, with one bucket. It
// runs in the test's process, keeps everything in memory and goes when the test
// ends. It can be told to fail.
type S3 struct {
	server  *httptest.Server
	objects *s3mem.Backend
	handler http.Handler
	faults  atomic.Pointer[func(*http.Request) Fault]
	failed  [faults]atomic.Int64
	over    chan struct{}
}

// Fault is a way in which a server fails a request.
type Fault int

// The ways to fail.
const (
	NoFault      Fault = iota
	ServerError        // 500 InternalError
	SlowDown           // 503 SlowDown
	Stall              // no answer as long as the client waits
	TornUpload         // the connection is cut in the middle of the request's body
	TornDownload       // the connection is cut in the middle of the answer's body
	LostAnswer         // done, but the connection is cut before the answer
	faults
)

// NewS3 starts a server for this test alone.
func NewS3(t testing.TB) *S3 {
	t.Helper()
	s := &S3{objects: s3mem.New(), over: make(chan struct{})}
	if err := s.objects.CreateBucket(S3Bucket); err != nil {
		t.Fatal(err)
	}
	s.handler = gofakes3.New(s.objects, gofakes3.WithLogger(gofakes3.DiscardLog()), gofakes3.WithAutoBucket(false)).Server()
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of connections that are cut
	s.server.Start()
	t.Cleanup(s.server.Close)
	t.Cleanup(func() { close(s.over) }) // before: what stalls ends
	return s
}

// URL is the server's endpoint.
func (s *S3) URL() string { return s.server.URL }

// Fail makes the server ask of every request from now on how to fail it; nil: it
// fails none.
func (s *S3) Fail(how func(*http.Request) Fault) {
	if how == nil {
		s.faults.Store(nil)
		return
	}
	s.faults.Store(&how)
}

// Failed is how many requests were failed in a way.
func (s *S3) Failed(f Fault) int64 { return s.failed[f].Load() }

// Randomly fails a share of all requests, each in any of some ways.
func Randomly(seed uint64, share float64, ways ...Fault) func(*http.Request) Fault {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	return func(*http.Request) Fault {
		mu.Lock()
		defer mu.Unlock()
		if random.Float64() >= share {
			return NoFault
		}
		return ways[random.IntN(len(ways))]
	}
}

// Objects are the contents of all objects, by name.
func (s *S3) Objects(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	list, err := s.objects.ListBucket(S3Bucket, nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		object, err := s.objects.GetObject(S3Bucket, o.Key, nil)
		if err != nil {
			continue // deleted meanwhile
		}
		content, err := io.ReadAll(object.Contents)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Key] = content
	}
	return all
}

// Change gives an object another content; nil deletes it.
func (s *S3) Change(t testing.TB, name string, content []byte) {
	t.Helper()
	var err error
	if content == nil {
		_, err = s.objects.DeleteObject(S3Bucket, name)
	} else {
		meta := map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}
		_, err = s.objects.PutObject(S3Bucket, name, meta, strings.NewReader(string(content)), int64(len(content)), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// serve answers a request, or fails it.
func (s *S3) serve(w http.ResponseWriter, r *http.Request) {
	fault := NoFault
	if how := s.faults.Load(); how != nil {
		fault = (*how)(r)
	}
	if fault == TornDownload && r.Method != http.MethodGet || fault == TornUpload && r.Method != http.MethodPut {
		fault = NoFault
	}
	s.failed[fault].Add(1)
	switch fault {
	case NoFault:
		s.handler.ServeHTTP(w, r)
	case ServerError:
		refuse(w, r, http.StatusInternalServerError, "InternalError")
	case SlowDown:
		refuse(w, r, http.StatusServiceUnavailable, "SlowDown")
	case Stall:
		_, _ = io.Copy(io.Discard, r.Body) // only then does the context end with the connection
		select {
		case <-r.Context().Done():
		case <-s.over:
		}
		panic(http.ErrAbortHandler)
	case TornUpload:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		panic(http.ErrAbortHandler) // cuts the connection
	default:
		s.cut(w, r, fault == TornDownload)
	}
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>injected</Message></Error>")
}

// cut does what is asked and cuts the connection, in the middle of the answer's
// body or before anything of it.
func (s *S3) cut(w http.ResponseWriter, r *http.Request, half bool) {
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, r)
	if half {
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		body := answer.Body.Bytes()
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
	}
	panic(http.ErrAbortHandler)
}
