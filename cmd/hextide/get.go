package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	pb "github.com/hextide/hextide/proto/hextide/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// connect makes a client of a server; the connection is made by the first call.
func connect(address string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
	if err != nil {
		return nil, usagef("the address %q: %w", address, err)
	}
	return conn, nil
}

// serverVar makes the flag that says where a running pipeline is: --server, or --grpc,
// which it is to the run itself.
func serverVar(f *pflag.FlagSet, to *string) {
	f.StringVar(to, "server", "127.0.0.1:8780", "gRPC address of a running pipeline (its --grpc)")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "grpc" {
			name = "server"
		}
		return pflag.NormalizedName(name)
	})
}

// called makes an error of a call one sentence.
func called(err error) error {
	if s, is := status.FromError(err); is {
		if s.Code() == codes.Unavailable {
			return fmt.Errorf("no running pipeline answers ('hextide run --grpc' says where one does): %s", s.Message())
		}
		if s.Code() == codes.DeadlineExceeded {
			return fmt.Errorf("no answer in time (--timeout): the pipeline is held up, or overloaded: %s", s.Message())
		}
		return fmt.Errorf("the server says %s: %s", s.Code(), s.Message())
	}
	return err
}

// serverFlags are common to get and watch.
type serverFlags struct {
	address string
	columns []string
	json    bool
}

func (f *serverFlags) add(c *cobra.Command) {
	serverVar(c.Flags(), &f.address)
	c.Flags().StringSliceVar(&f.columns, "columns", nil, "columns to show (default: all)")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, one answer a line")
}

func newGet() *cobra.Command {
	flags := &serverFlags{}
	open, timeout := false, time.Duration(0)
	c := &cobra.Command{
		Use:   "get PLACE...",
		Short: "Look up rows of a running pipeline",
		Long: `Looks up the newest row of each place: an H3 cell as 15 hexadecimal digits, or
a latitude and a longitude joined by a comma.`,
		Example: `  hextide get 89283082837ffff
  hextide get 37.7749,-122.4194 --columns n_k2_w5m,busy_share
  hextide get -- -33.86,151.21`,
		Args: arguments(1, 10_000, "at least one place"),
		RunE: func(c *cobra.Command, given []string) error {
			request := &pb.LookupRequest{Columns: flags.columns, Open: open}
			if err := places(request, given); err != nil {
				return err
			}
			conn, err := connect(flags.address)
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			response, err := pb.NewHextideClient(conn).Lookup(ctx, request)
			if err != nil {
				return called(err)
			}
			return flags.show(c, response, response)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&open, "open", false, "rows of the windows that are still open")
	timeVar(c.Flags(), &timeout, "timeout", 5*time.Second, time.Millisecond, "how long to wait for the answer")
	return c
}

// places reads cells and locations. The answer has all cells before all
// locations, each in the order given.
func places(request *pb.LookupRequest, given []string) error {
	for _, text := range given {
		lat, lng, is := strings.Cut(text, ",")
		if !is {
			request.H3 = append(request.H3, text)
			continue
		}
		at := &pb.LatLng{}
		var err error
		if at.Lat, err = strconv.ParseFloat(strings.TrimSpace(lat), 64); err == nil {
			at.Lng, err = strconv.ParseFloat(strings.TrimSpace(lng), 64)
		}
		if err != nil {
			return usagef("%q is neither an H3 cell nor latitude,longitude", text)
		}
		request.Locations = append(request.Locations, at)
	}
	return nil
}

// rowsAnswer is what Lookup and Watch answer alike.
type rowsAnswer interface {
	GetEntities() []*pb.Entity
	GetColumns() []*pb.Column
}

// show prints an answer: JSON, or one row a line, or for few rows one column a line.
func (f *serverFlags) show(c *cobra.Command, a rowsAnswer, m proto.Message) error {
	if f.json {
		return f.showJSON(c, m)
	}
	out := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	for i, e := range a.GetEntities() {
		end := "no window has closed"
		if e.WindowEnd != nil {
			end = e.WindowEnd.AsTime().Format(time.RFC3339)
		}
		state := strings.ToLower(strings.TrimPrefix(e.State.String(), "ROW_STATE_"))
		fmt.Fprintf(out, "%s\t%s\t%s\tage %s\n", e.H3, end, state, time.Duration(e.AgeSeconds*1e9).Round(time.Millisecond))
		for _, column := range a.GetColumns() {
			fmt.Fprintf(out, "  %s\t%s\n", column.Name, valueText(column, i))
		}
	}
	return out.Flush()
}

func (f *serverFlags) showJSON(c *cobra.Command, m proto.Message) error {
	text, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var compact json.RawMessage = text // protojson spaces at random; encoding/json does not
	encoder := json.NewEncoder(c.OutOrStdout())
	return encoder.Encode(compact)
}

func valueText(c *pb.Column, i int) string {
	for _, null := range c.Nulls {
		if int(null) == i {
			return "null"
		}
	}
	if i < len(c.Integers) {
		return strconv.FormatInt(c.Integers[i], 10)
	}
	return strconv.FormatFloat(c.Floats[i], 'g', 6, 64)
}
