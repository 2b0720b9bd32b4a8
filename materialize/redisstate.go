package materialize

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hextide/hextide/geo"
	"github.com/klauspost/compress/zstd"
)

// redisState is what a checkpoint keeps.
type redisState struct {
	Plan   string `json:"plan"` // Redis.planKey; empty in older states
	Run    int64  `json:"run"`
	Course int64  `json:"course,omitempty"` // of the run
	Rows   []byte `json:"rows"`             // those that wait, as appended by saveWaiting
}

// maxSaved is how many bytes the waiting rows may take in a checkpoint's pointer,
// which is written as a whole every time: some hundred thousand rows of many
// columns.
const maxSaved = 16 << 20

// A waiting row is saved as its cell (8 bytes), 1 where it expires, the length of
// its packed row (4 bytes) and the packed row, little-endian; all together are
// compressed with zstd.
const savedHeader = 8 + 1 + 4

// saveWaiting encodes waiting rows in limit bytes. Markers come first, since
// nothing follows them that would bring an entity up to date; left is how many
// rows found no room.
func saveWaiting(rows map[geo.Cell]waiting, limit int) (saved []byte, left int, err error) {
	cells := make([]geo.Cell, 0, len(rows))
	for cell := range rows {
		cells = append(cells, cell)
	}
	slices.SortFunc(cells, func(a, b geo.Cell) int {
		ma, mb := rows[a].marker(), rows[b].marker()
		if ma != mb {
			if ma {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, 0, err
	}
	raw := 0 // since the last flush: no more than these bytes are missing from out
	var record []byte
	for i, cell := range cells {
		w := rows[cell]
		if full := out.Len()+raw+savedHeader+len(w.Value) > limit; raw > 1<<16 || full && raw > 1<<12 {
			if err := z.Flush(); err != nil {
				return nil, 0, err
			}
			raw = 0
		}
		if out.Len()+raw+savedHeader+len(w.Value) > limit {
			left = len(cells) - i
			break
		}
		record = binary.LittleEndian.AppendUint64(record[:0], uint64(cell))
		record = append(record, 0)
		if w.Expires {
			record[8] = 1
		}
		record = binary.LittleEndian.AppendUint32(record, uint32(len(w.Value)))
		record = append(record, w.Value...)
		if _, err := z.Write(record); err != nil {
			return nil, 0, err
		}
		raw += len(record)
	}
	if err := z.Close(); err != nil {
		return nil, 0, err
	}
	return out.Bytes(), left, nil
}

// restoreWaiting decodes what saveWaiting made.
func restoreWaiting(saved []byte) (map[geo.Cell]waiting, error) {
	rows := map[geo.Cell]waiting{}
	if len(saved) == 0 {
		return rows, nil
	}
	z, err := zstd.NewReader(bytes.NewReader(saved), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	for {
		var header [savedHeader]byte
		if _, err := io.ReadFull(z, header[:]); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		size := binary.LittleEndian.Uint32(header[9:])
		if size < packedHeader || size > maxPacked {
			return nil, fmt.Errorf("a row of %d bytes", size)
		}
		value := make([]byte, size)
		if _, err := io.ReadFull(z, value); err != nil {
			return nil, fmt.Errorf("a row that ends early: %w", err)
		}
		rows[geo.Cell(binary.LittleEndian.Uint64(header[:]))] = waiting{Value: value, Expires: header[8] != 0}
	}
}

// maxPacked is the size of a packed row of as many columns as it can have.
const maxPacked = packedHeader + 8*(1024+1<<16)

// restore takes over a checkpoint's state.
func (r *Redis) restore(state []byte) error {
	if state == nil {
		return nil
	}
	saved := redisState{}
	err := json.Unmarshal(state, &saved)
	if err == nil && saved.Plan != "" && saved.Plan != r.planKey() {
		// The definition has changed: what waits is for a pair that is to be replaced,
		// and this one begins with the rows of the next panes.
		return nil
	}
	if err == nil {
		r.waiting, err = restoreWaiting(saved.Rows)
	}
	if err != nil {
		return fmt.Errorf("the Redis sink's state is damaged: %w", err)
	}
	if saved.Course == r.options.Course() {
		r.run = saved.Run
	} // else the next
	for _, w := range r.waiting {
		if w.marker() {
			r.markers++
		}
	}
	return nil
}
