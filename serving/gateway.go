package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	pb "github.com/hextide/hextide/proto/hextide/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// gatewayHandler answers HTTP/JSON calls by way of the gRPC service. Fields and
// parameters that a request does not have are refused.
func (s *Server) gatewayHandler() (http.Handler, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return s.inner.DialContext(ctx) }
	conn, err := grpc.NewClient("passthrough:///service", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
	if err != nil {
		return nil, err
	}
	s.gateway = conn
	strict := &runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true}}
	calls := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, strict), runtime.WithDisablePathLengthFallback())
	if err := pb.RegisterHextideHandler(context.Background(), calls, conn); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", calls)
	methods := pb.File_hextide_v1_hextide_proto.Services().ByName("Hextide").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		rule := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.AdditionalBindings...) {
			pattern, known := parameters(m.Input(), binding)
			mux.Handle(pattern, onlyParameters(calls, known))
		}
	}
	return mux, nil
}

// parameters are a binding's pattern and the query parameters that it reads: the
// fields that are neither in the body nor in the path.
func parameters(request protoreflect.MessageDescriptor, binding *annotations.HttpRule) (pattern string, known map[string]bool) {
	if path := binding.GetPost(); path != "" {
		return "POST " + path, nil
	}
	known = map[string]bool{}
	for i := range request.Fields().Len() {
		f := request.Fields().Get(i)
		if !strings.Contains(binding.GetGet(), "{"+f.TextName()+"}") {
			known[f.TextName()], known[f.JSONName()] = true, true
		}
	}
	return "GET " + binding.GetGet(), known
}

// onlyParameters refuses query parameters that a call does not read.
func onlyParameters(calls *runtime.ServeMux, known map[string]bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.URL.Query() {
			if !known[name] {
				_, outbound := runtime.MarshalerForRequest(calls, r)
				runtime.HTTPError(r.Context(), calls, outbound, w, r, status.Errorf(codes.InvalidArgument, "unknown query parameter %.64q", name))
				return
			}
		}
		calls.ServeHTTP(w, r)
	})
}

// bodyTimeout is how long a request's body may take to come.
const bodyTimeout = 30 * time.Second

// wholeBodies reads each request's body before it is handled, within the limit
// of size and a time: a client that stalls holds no call, and a stream of
// answers may last as long as it likes.
func wholeBodies(handler http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			handler.ServeHTTP(w, r)
			return
		}
		connection := http.NewResponseController(w)
		if err := connection.SetReadDeadline(time.Now().Add(limit)); err != nil {
			reply(w, http.StatusInternalServerError, err.Error())
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil { // the deadline stays: nothing waits for the rest of the body
			w.Header().Set("Connection", "close")
			code, text := refusal(err, limit)
			reply(w, code, text)
			return
		}
		if err := connection.SetReadDeadline(time.Time{}); err != nil {
			reply(w, http.StatusInternalServerError, err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	})
}

// refusal is what to say of a body that could not be read.
func refusal(err error, limit time.Duration) (code int, text string) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("a request may have %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, fmt.Sprintf("the request's body has not come within %v", limit)
	}
	return http.StatusBadRequest, "the request's body: " + err.Error()
}
