# shellcheck shell=sh
# Sourced after packages.sh, with $root set: `appliance_ready` makes this machine ready to boot Debian machines in
# containers (tests/appliance), or fails with the reason in $why.

appliance_ready() {
    want ssh openssh-client
    want curl curl
    want rclone rclone
    want systemd-nspawn systemd-container
    install_wanted || { why="packages are missing"; return 1; }
    sh "$root/tests/appliance/images.sh" >/dev/null || { why="no Debian machine can be made here (see above)"; return 1; }
}
