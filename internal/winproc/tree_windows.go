package winproc

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Line is the command line of this process.
func Line() string { return windows.UTF16PtrToString(windows.GetCommandLine()) }

// A Tree is a process and what it has started.
type Tree struct{ job windows.Handle }

// Suspended has a process wait for Adopt before its first instruction.
func Suspended(attributes *syscall.SysProcAttr) *syscall.SysProcAttr {
	attributes.CreationFlags |= windows.CREATE_SUSPENDED
	return attributes
}

// Adopt puts a process that was started Suspended into a job, and lets it run. The job ends with
// us, however we end, until Release. If there can be no job, it runs without: the Tree is nil then.
func Adopt(p *os.Process) *Tree {
	defer resume(uint32(p.Pid))
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil
	}
	t := &Tree{job}
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err == nil {
		defer windows.CloseHandle(process)
		err = t.limit(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)
	}
	if err == nil {
		err = windows.AssignProcessToJobObject(job, process)
	}
	if err != nil {
		windows.CloseHandle(job)
		return nil
	}
	return t
}

func (t *Tree) limit(flags uint32) error {
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: flags},
	}
	_, err := windows.SetInformationJobObject(t.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	return err
}

// Release lets what still runs live on without us.
func (t *Tree) Release() {
	if t != nil {
		t.limit(0)
		windows.CloseHandle(t.job)
	}
}

// Kill ends all of the tree.
func (t *Tree) Kill() error { return windows.TerminateJobObject(t.job, 1) }

// resume lets the one thread of a suspended process run.
func resume(pid uint32) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ThreadEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		if thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID); err == nil {
			windows.ResumeThread(thread)
			windows.CloseHandle(thread)
		}
	}
}
