//go:build linux

package scale

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/need"
)

// spark is a cloud with pyspark and S3A: what its user has in spark-defaults.conf, and what the S3 here needs.
func spark(t *testing.T) *cloud {
	t.Helper()
	need.Asked(t, full(), "SCALE=full")
	c := newCloud(t, 20*time.Second)
	venv := c.engine("spark")
	pom := read(t, filepath.Join("engines", "spark", "pom.xml"))
	jars := cached(t, "s3a", pom, func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(pom), 0o644); err != nil {
			t.Fatal(err)
		}
		tool(t, dir, "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies")
	})
	const quick = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" // several JVMs on two processors
	c.write("conf/spark-defaults.conf", typedFile(t, "Spark", "spark-defaults.conf")+fmt.Sprintf(`
spark.driver.extraClassPath %[1]s/lib/*
spark.executor.extraClassPath %[1]s/lib/*
spark.driver.extraJavaOptions %[3]s
spark.executor.extraJavaOptions %[3]s
spark.driver.memory 512m
spark.executor.memory 512m
spark.executor.cores 1
spark.network.timeout 300s
spark.ui.enabled false
spark.hadoop.fs.s3a.endpoint %[2]s
spark.hadoop.fs.s3a.path.style.access true
spark.hadoop.fs.s3a.connection.ssl.enabled false
`, jars, c.url, quick))
	c.write("conf/log4j2.properties", `
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
logger.cached.name = software.amazon.awssdk.utils.cache
logger.cached.level = error
`)
	// start-worker.sh is not in pyspark, which has all that is behind it.
	c.write("start-worker.sh", "#!/bin/sh\nexec spark-daemon.sh start org.apache.spark.deploy.worker.Worker 1 --webui-port 0 \"$@\"\n")
	found, err := filepath.Glob(filepath.Join(venv, "lib", "python*", "site-packages", "pyspark"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	home := found[0]
	t.Cleanup(func() { os.RemoveAll(filepath.Join(home, "work")) }) // where local-cluster puts its executors' output
	c.set("PATH="+c.dir+":"+filepath.Join(home, "sbin")+":"+filepath.Join(venv, "bin")+":"+filepath.Dir(brsExec)+":"+os.Getenv("PATH"),
		"SPARK_HOME="+home, "SPARK_CONF_DIR="+filepath.Join(c.dir, "conf"), "SPARK_LOCAL_IP=127.0.0.1", "SPARK_LOCAL_DIRS="+c.dir,
		"SPARK_WORKER_DIR="+filepath.Join(c.dir, "work"), "SPARK_LOG_DIR="+filepath.Join(c.dir, "logs"), "SPARK_PID_DIR="+c.dir,
		"SPARK_DAEMON_MEMORY=256m", "SPARK_DAEMON_JAVA_OPTS="+quick, "SPARK_WORKER_CORES=1", "SPARK_WORKER_MEMORY=1g")
	return c
}

const executor = "CoarseGrainedExecutorBackend"

// Three minutes over two executors, with lives of 20 seconds; one of them is killed, and another comes in its place.
func TestSparkLocalCluster(t *testing.T) {
	c := spark(t)
	c.set("JOB_SECONDS=180")
	p := c.start("Spark", `brs-exec --role-arn "$ROLE" -- spark-submit --master 'local-cluster[2,1,1024]' job.py`)
	p.await("rounds: 1\n")
	executors := c.left(executor)
	if len(executors) != 2 {
		t.Errorf("%d executors", len(executors))
	}
	syscall.Kill(executors[0], syscall.SIGKILL)
	if status := p.wait(10 * time.Minute); status != 0 || !strings.HasSuffix(strings.TrimSpace(p.text()), "done") {
		t.Errorf("status %d:\n%s", status, tail(p.text()))
	}
	c.fresh(10, 1)
	c.executorsWrote()
	c.gone("")
}

// executorsWrote checks that it was not the driver alone that wrote.
func (c *cloud) executorsWrote() {
	c.t.Helper()
	calls, _ := c.seen()
	calls = slices.DeleteFunc(slices.Clone(calls), func(call call) bool {
		return call.method != "PUT" || !strings.Contains(call.path, "/part-")
	})
	if len(calls) < 4 {
		c.t.Errorf("%d PUTs of executors", len(calls))
	}
}

// A master that needs nothing, two workers, of which one comes late and the other is lost, and a driver that is cancelled.
func TestSparkStandalone(t *testing.T) {
	c := spark(t)
	port := need.Port()
	c.set("MASTER=spark://127.0.0.1:"+port, "PORT="+port, "SHARE="+filepath.Join(c.dir, "share"), "JOB_SECONDS=900")
	c.shell(`spark-class org.apache.spark.deploy.master.Master --host 127.0.0.1 --port "$PORT" --webui-port 0`)
	await(t, "the master", func() bool { return open(port) })

	first := c.start("Spark", `brs-exec --role-arn "$ROLE" -- spark-class org.apache.spark.deploy.worker.Worker "$MASTER"`)
	job := c.start("Spark", `brs-exec --role-arn "$ROLE" -- spark-submit --master "$MASTER" job.py`)
	job.await("rounds: 1\n")
	server := c.start("Spark", `brs-exec --role-arn "$ROLE" --serve --share "$SHARE"`)
	second := c.start("Spark", `brs-exec --from-share "$SHARE" -- spark-class org.apache.spark.deploy.worker.Worker "$MASTER"`)
	await(t, "a second executor", func() bool { return len(c.left(executor)) == 2 })
	if status := first.end(syscall.SIGTERM); status != 143 {
		t.Errorf("the first worker: status %d:\n%s", status, tail(first.text()))
	}
	await(t, "the end of its executor", func() bool { return len(c.left(executor)) == 1 })
	rounds := strings.Count(job.text(), "rounds:")
	job.await(fmt.Sprintf("rounds: %d\n", rounds+3))
	if status := job.end(syscall.SIGTERM); status != 143 {
		t.Errorf("the cancelled job: status %d:\n%s", status, tail(job.text()))
	}
	c.gone(executor)
	c.fresh(5, 3)
	c.executorsWrote()
	if status := second.end(syscall.SIGTERM); status != 143 {
		t.Errorf("the second worker: status %d:\n%s", status, tail(second.text()))
	}
	if status := server.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server: status %d:\n%s", status, tail(server.text()))
	}
}

// What is said of a worker that leaves its wrapper; a worker that had no wrapper, but keys, told by spark.executorEnv.
func TestSparkWorkerOutside(t *testing.T) {
	c := spark(t)
	port := need.Port()
	c.set("MASTER=spark://127.0.0.1:"+port, "PORT="+port, "JOB_SECONDS=0")
	c.shell(`spark-class org.apache.spark.deploy.master.Master --host 127.0.0.1 --port "$PORT" --webui-port 0`)
	await(t, "the master", func() bool { return open(port) })

	p := c.shell(`brs-exec --role-arn "$ROLE" -- start-worker.sh "$MASTER"`)
	if status := p.wait(2 * time.Minute); status != 0 || !strings.Contains(p.text(), "goes on without the endpoint") {
		t.Errorf("status %d: %s", status, p.text())
	}
	for _, pid := range c.left("worker.Worker") {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	c.gone("worker.Worker")

	c.shell(`spark-class org.apache.spark.deploy.worker.Worker "$MASTER"`)
	c.write("submit.sh", typedFile(t, "Spark", "submit.sh"))
	out, status := c.run("Spark", `brs-exec --role-arn "$ROLE" -- sh submit.sh`)
	if status != 0 {
		t.Errorf("status %d:\n%s", status, tail(out))
	}
	c.fresh(1, 2)
	c.executorsWrote()
}
