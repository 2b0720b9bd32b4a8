package statebackend

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"golang.org/x/sync/errgroup"
)

// S3Options say how an S3 store is reached.
type S3Options struct {
	Bucket   string
	Prefix   string        // before all names; may be empty
	Region   string        // default us-east-1
	Endpoint string        // URL of a server that speaks S3; default Amazon's
	Timeout  time.Duration // of one request without a byte moving; default 30 s
	Within   time.Duration // how long a call is tried again; default 1 minute
	// Credentials default to those of the environment, the shared credentials file,
	// or the role of the machine or container.
	Credentials *credentials.Credentials
	Transport   http.RoundTripper // default http.DefaultTransport's settings
	Logger      *slog.Logger      // nil: silent
}

// S3 is a Store in a bucket. What fails and may heal (5xx, throttling, timeouts, a
// connection cut) is tried again with growing, random pauses.
type S3 struct {
	options S3Options
	client  minio.Core
	meters  [operations]meter
}

var _ Store = (*S3)(nil)

// deleters is how many objects are removed at once.
const deleters = 16

// NewS3 names a place in a bucket. It reaches for nothing.
func NewS3(o S3Options) (*S3, error) {
	if o.Bucket == "" {
		return nil, errors.New("an S3 address is s3://bucket/prefix, with a bucket")
	}
	if err := s3utils.CheckValidBucketNameStrict(o.Bucket); err != nil {
		return nil, fmt.Errorf("no bucket is named %q: %w (it has 3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit first and last, and no dot beside a dot or hyphen)", o.Bucket, err)
	}
	if slices.ContainsFunc(strings.Split(o.Prefix, "/"), func(part string) bool { return part == "." || part == ".." }) {
		return nil, fmt.Errorf("a prefix in a bucket has no . or .. in it, as %q has", o.Prefix)
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Within == 0 {
		o.Within = time.Minute
	}
	if o.Credentials == nil {
		o.Credentials = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		})
	}
	host, secure, lookup := "s3.amazonaws.com", true, minio.BucketLookupAuto
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("an S3 endpoint is a URL like https://minio:9000, not %q", o.Endpoint)
		}
		host, secure, lookup = u.Host, u.Scheme == "https", minio.BucketLookupPath
	}
	client, err := minio.New(host, &minio.Options{
		Creds: o.Credentials, Secure: secure, Region: o.Region, BucketLookup: lookup, Transport: o.Transport, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("the S3 store: %w", err)
	}
	return &S3{options: o, client: minio.Core{Client: client}}, nil
}

// String is the store's address.
func (s *S3) String() string { return "s3://" + path.Join(s.options.Bucket, s.options.Prefix) }

func (s *S3) key(name string) string { return path.Join(s.options.Prefix, name) }

// Get reads an object.
func (s *S3) Get(ctx context.Context, name string) ([]byte, error) {
	return call(ctx, s, opGet, name, func(ctx context.Context, moved func(int)) ([]byte, error) {
		body, info, _, err := s.client.GetObject(ctx, s.options.Bucket, s.key(name), minio.GetObjectOptions{})
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(watched{body, moved})
		if err = errors.Join(err, body.Close()); err == nil && int64(len(content)) != info.Size {
			err = io.ErrUnexpectedEOF
		}
		return content, err
	})
}

// Put writes an object.
func (s *S3) Put(ctx context.Context, name string, content []byte) error {
	return s.put(ctx, opPut, name, content, minio.PutObjectOptions{})
}

// Create writes an object with If-None-Match: *.
func (s *S3) Create(ctx context.Context, name string, content []byte) error {
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	return s.put(ctx, opCreate, name, content, o)
}

// put sends both digests of the content, so that the server refuses what was
// changed or cut short on the way.
func (s *S3) put(ctx context.Context, op operation, name string, content []byte, o minio.PutObjectOptions) error {
	o.DisableContentSha256 = true // of chunks: one of the whole is given
	md, sha := md5.Sum(content), sha256.Sum256(content)
	_, err := call(ctx, s, op, name, func(ctx context.Context, moved func(int)) (minio.UploadInfo, error) {
		info, err := s.client.PutObject(ctx, s.options.Bucket, s.key(name), watched{bytes.NewReader(content), moved}, int64(len(content)),
			base64.StdEncoding.EncodeToString(md[:]), hex.EncodeToString(sha[:]), o)
		if err == nil && info.ETag == "" {
			err = errNotS3
		}
		return info, err
	})
	return err
}

// List asks for all names below a folder, a thousand at a time.
func (s *S3) List(ctx context.Context, folder string) ([]Listed, error) {
	return call(ctx, s, opList, folder, func(ctx context.Context, moved func(int)) ([]Listed, error) {
		ctx, cancel := context.WithCancel(ctx) // ends the listing's goroutine
		defer cancel()
		var all []Listed
		before := ""
		if s.options.Prefix != "" {
			before = path.Clean(s.options.Prefix) + "/"
		}
		for o := range s.client.Client.ListObjectsIter(ctx, s.options.Bucket, minio.ListObjectsOptions{Prefix: s.key(folder) + "/", Recursive: true}) {
			if o.Err != nil {
				return nil, o.Err
			}
			moved(0)
			all = append(all, Listed{Name: strings.TrimPrefix(o.Key, before), Size: o.Size, Modified: o.LastModified})
		}
		slices.SortFunc(all, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
		return all, nil
	})
}

// Delete removes objects, several at once.
func (s *S3) Delete(ctx context.Context, names ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(deleters)
	for _, name := range names {
		group.Go(func() error {
			_, err := call(ctx, s, opDelete, name, func(ctx context.Context, _ func(int)) (struct{}, error) {
				return struct{}{}, s.client.RemoveObject(ctx, s.options.Bucket, s.key(name), minio.RemoveObjectOptions{})
			})
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			return err
		})
	}
	return group.Wait()
}

// errNotS3 is returned for an answer that no server which speaks S3 gives, such as that
// of a server of pages, which is content with any request.
var errNotS3 = errors.New("the server took an object and gave it no ETag, so it does not speak S3: is the endpoint the right one?")

// watched tells of every byte that is read.
type watched struct {
	io.Reader
	moved func(int)
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.moved(n)
	return n, err
}
