package statebackend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/minio/minio-go/v7"
)

// operation is what a call asks of S3.
type operation int

const (
	opGet operation = iota
	opPut
	opCreate
	opList
	opDelete
	operations
)

var operationNames = [operations]string{"get", "put", "create", "list", "delete"}

// meter counts the calls of one operation.
type meter struct{ calls, errors, retries, bytes atomic.Int64 }

// Usage is what the calls of one operation have come to.
type Usage struct {
	Operation string
	Calls     int64 // asked for by this process
	Errors    int64 // failed for good; what is not there, or there already, is an answer
	Retries   int64 // requests after a call's first
	Bytes     int64 // of content, those of failed requests too
}

// Usage tells what the store was asked for, by operation. It may be called from
// any goroutine.
func (s *S3) Usage() []Usage {
	all := make([]Usage, operations)
	for op := range all {
		m := &s.meters[op]
		all[op] = Usage{operationNames[op], m.calls.Load(), m.errors.Load(), m.retries.Load(), m.bytes.Load()}
	}
	return all
}

// The pauses between the requests of a call, the first and the longest; each is
// random by half.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	toldPause    = 500 * time.Millisecond // from which on somebody may wonder
)

// errStalled ends a request that moves no byte.
var errStalled = errors.New("no answer in time")

// call asks S3 until it answers, or the time for it is over. request reports the
// bytes that it moves.
func call[T any](ctx context.Context, s *S3, op operation, name string, request func(ctx context.Context, moved func(int)) (T, error)) (T, error) {
	m := &s.meters[op]
	m.calls.Add(1)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = firstPause, longestPause, 2
	answer, err := backoff.Retry(ctx, func() (T, error) {
		answer, err := once(ctx, s, m, request)
		return answer, verdict(err)
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(s.options.Within), backoff.WithNotify(func(err error, pause time.Duration) {
		m.retries.Add(1)
		if pause >= toldPause {
			s.options.Logger.Warn("S3 has not done what it was asked for; it is asked again", "operation", operationNames[op], "object", name,
				"store", s.String(), "again_in", pause.Round(time.Millisecond), "given_up_after", s.options.Within, "error", err)
		}
	}))
	if err == nil {
		return answer, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		m.errors.Add(1)
	}
	return answer, fmt.Errorf("%s %s in %s: %w%s", operationNames[op], name, s, err, remedy(err))
}

// remedy is what helps against an answer that another request would get too.
func remedy(err error) string {
	var answer minio.ErrorResponse
	switch {
	case !errors.As(err, &answer):
		return ""
	case answer.Code == minio.NoSuchBucket:
		return " (make it, or name another)"
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		return " (the credentials are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the shared credentials file or the machine's role; they need s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject)"
	}
	return ""
}

// once makes one request, and ends it when no byte has moved for the timeout.
func once[T any](ctx context.Context, s *S3, m *meter, request func(ctx context.Context, moved func(int)) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(s.options.Timeout, func() { cancel(errStalled) })
	defer timer.Stop()
	answer, err := request(ctx, func(n int) {
		m.bytes.Add(int64(n))
		timer.Reset(s.options.Timeout)
	})
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = fmt.Errorf("%w: %s", errStalled, s.options.Timeout)
	}
	return answer, err
}

// transient are the codes of answers in the 400s that another request may not get:
// a body cut short or changed on the way, a conditional write beside another.
var transient = []string{"RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "OperationAborted", "ConditionalRequestConflict"}

// verdict says what an error of a request means: an answer, something that no other
// request will change, or something that may heal.
func verdict(err error) error {
	if errors.Is(err, errNotS3) {
		return backoff.Permanent(err)
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err
	}
	status := answer.StatusCode
	switch {
	case answer.Code == minio.NoSuchKey:
		return backoff.Permanent(fs.ErrNotExist)
	case status == http.StatusPreconditionFailed:
		return backoff.Permanent(fs.ErrExist)
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, slices.Contains(transient, answer.Code):
		return err
	case status >= 300 && status < 500:
		return backoff.Permanent(err)
	}
	return err
}
