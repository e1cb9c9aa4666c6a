# boot.sh DIR PYTHON: the first process of a machine with podman, in mount, network and process namespaces of its own. All that
# it changes is its own; it ends with its namespaces.
#
# podman and crun want no unified hierarchy here: this machine's is one in which a container of its kind has no rights.
set -e
mount --make-rprivate /
umount /sys/fs/cgroup/unified 2>/dev/null || true
mount -t tmpfs tmpfs /run
mkdir -p /run/etc /run/work /run/user/4242
mount --bind "$1/bin" /usr/local/bin
mount --bind "$2" "$1/python"
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work /etc
echo etl:x:4242:4242::/nonexistent:/bin/sh >>/etc/passwd
echo etl:x:4242: >>/etc/group
echo etl:100000:65536 | tee /etc/subuid >/etc/subgid
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
chown 4242:4242 /run/user/4242
ip link set lo up
ip address add 10.1.1.1/32 dev lo # STS, seen from every network of the machine
exec podman system service --time 0 unix:///run/podman.sock
