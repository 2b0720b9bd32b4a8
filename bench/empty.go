package main

import (
	"context"
	"flag"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The empty handler does nothing but return as many bytes as it is asked for:
// what gRPC itself costs.
const emptyMethod = "/bench.Empty/Call"

func (c *emptyClient) call(ctx context.Context, bytes int, options ...grpc.CallOption) (int, error) {
	answer := &wrapperspb.BytesValue{}
	err := c.conn.Invoke(ctx, emptyMethod, wrapperspb.Int64(int64(bytes)), answer, options...)
	return len(answer.Value), err
}

// empty serves the empty handler until it is told to stop.
func empty(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	address := flags.String("address", "127.0.0.1:0", "where to listen")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	payload := make([]byte, 8<<20)
	handler := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := &wrapperspb.Int64Value{}
		if err := decode(request); err != nil {
			return nil, err
		}
		return wrapperspb.Bytes(payload[:min(int(request.Value), len(payload))]), nil
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Empty", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Call", Handler: handler}},
	}, struct{}{})
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	return server.Serve(listener)
}
