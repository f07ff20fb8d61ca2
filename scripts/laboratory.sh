# shellcheck shell=sh
# Sourced after packages.sh: `laboratory_ready` makes this machine ready for network namespaces with official
# clients in them (Debian's network tools, /dev/net/tun), or fails with the reason in $why.

why=""

# shellcheck disable=SC2034  # $why is for the caller
laboratory_ready() {
    PATH=$PATH:/usr/sbin:/sbin
    if [ "$(id -u)" != 0 ]; then
        why="network namespaces need root"
        return 1
    fi
    want unshare util-linux
    want ip iproute2
    want nft nftables
    want iptables iptables
    want ping iputils-ping
    want sysctl procps
    want node nodejs
    want restic restic
    # Go fetches the official clients' sources over HTTPS.
    want_file /etc/ssl/certs/ca-certificates.crt ca-certificates
    if ! install_wanted; then
        why="packages are missing"
        return 1
    fi
    if ! unshare --net --mount true 2>/dev/null; then
        why="this machine lets nobody make network namespaces"
        return 1
    fi
    if [ ! -c /dev/net/tun ]; then
        mkdir -p /dev/net
        mknod -m 666 /dev/net/tun c 10 200 2>/dev/null || true
    fi
    # The node can be there although the kernel has no such device.
    if ! (: <>/dev/net/tun) 2>/dev/null; then
        why="there is no usable /dev/net/tun"
        return 1
    fi
}
