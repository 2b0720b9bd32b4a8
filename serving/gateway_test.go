package serving

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A body that stalls ends its request; an answer may take longer than a body.
func TestBodyThatStalls(t *testing.T) {
	const limit = 50 * time.Millisecond
	server := httptest.NewServer(wholeBodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case <-r.Context().Done():
			t.Error("the answer was cut short")
		case <-time.After(4 * limit):
		}
		_, _ = w.Write(body)
	}), limit))
	defer server.Close()
	if code, text := ask(t, "POST", server.URL, "abc"); code != 200 || text != "abc" {
		t.Errorf("%d %s", code, text)
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
	answer, err := io.ReadAll(conn) // until the server closes the connection
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "has not come within 50ms") {
		t.Errorf("%s, %v", answer, err)
	}
}
