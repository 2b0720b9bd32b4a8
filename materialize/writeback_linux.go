package materialize

import (
	"os"

	"golang.org/x/sys/unix"
)

// writeBack has the system begin to write a file's pages to the disk, so that there
// is less to wait for when it is made durable. What cannot be begun is done then.
func writeBack(out *os.File) {
	_ = unix.SyncFileRange(int(out.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
