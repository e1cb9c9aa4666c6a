package share

import (
	"os"
	"testing"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }
