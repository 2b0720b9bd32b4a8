package materialize

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A feed is closed when readers see its last transaction, which a coordinator may still
// be ending; where it cannot tell, that is said. One that has committed nothing asks
// nobody.
func TestExactFeedIsClosedWhenSeen(t *testing.T) {
	for name, c := range map[string]struct {
		commits int
		answers []any // states and errors that the coordinator gives in turn
		says    bool
	}{
		"nothing committed":   {0, nil, false},
		"ended":               {1, []any{"CompleteCommit"}, false},
		"being ended":         {1, []any{"PrepareCommit", "PrepareCommit", "CompleteCommit"}, false},
		"a coordinator moves": {1, []any{kerr.NotCoordinator.Code, kerr.ConcurrentTransactions.Code, "PrepareCommit", "Empty"}, false},
		"it may not be asked": {1, []any{kerr.TransactionalIDAuthorizationFailed.Code}, true},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			asked := 0
			cluster.ControlKey(int16(kmsg.DescribeTransactions), func(request kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				r := request.(*kmsg.DescribeTransactionsRequest)
				answer := r.ResponseKind().(*kmsg.DescribeTransactionsResponse)
				state := kmsg.NewDescribeTransactionsResponseTransactionState()
				state.TransactionalID = r.TransactionalIDs[0]
				switch a := c.answers[min(asked, len(c.answers)-1)].(type) {
				case string:
					state.State = a
				case int16:
					state.ErrorCode = a
				}
				answer.TransactionStates = append(answer.TransactionStates, state)
				asked++
				return answer, nil, true
			})
			var said bytes.Buffer
			e := toExact(t, cluster.ListenAddrs()[0], planOf(t, "feed", own("seen"), "protobuf"), 1, func(o *ExactOptions) {
				o.Logger = slog.New(slog.NewTextHandler(&said, nil))
			})
			for range c.commits {
				e.rows(noon, 0)
				if err := e.Commit(t.Context(), e.seal()); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if asked != len(c.answers) || strings.Contains(said.String(), "may not see") != c.says {
				t.Errorf("asked %d times; it said\n%s", asked, &said)
			}
		})
	}
}
