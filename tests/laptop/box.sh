#!/bin/sh
# A box for Vagrant's libvirt provider, as debian/trixie64 is one: Debian 13 with the user vagrant, whose key everybody knows.
# Its packages come from the archive that the tests of the appliance serve. Made once, kept under .cache/appliance/.
#
#   box.sh MIRROR    prints the path of the box; MIRROR is the URL of the archive as the machine will see it
set -eu

mirror_seen=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. scripts/packages.sh
. packaging/root.sh

why=""
want vagrant vagrant
want_file /usr/share/doc/vagrant-libvirt vagrant-libvirt
want qemu-system-x86_64 qemu-system-x86
want_file /usr/share/seabios seabios
want qemu-img qemu-utils
want libvirtd libvirt-daemon
want_file /usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so libvirt-daemon-driver-qemu
want virsh libvirt-clients
want dnsmasq dnsmasq-base
want mkfs.ext4 e2fsprogs
roots_ready || { say "no box can be made here: $why"; exit 1; }

debian_root laptop systemd,systemd-sysv,systemd-resolved,dbus,openssh-server,python3,python3-apt,iproute2,iputils-ping,ca-certificates,procps,kmod,sudo,linux-image-cloud-amd64,initramfs-tools,ifupdown,isc-dhcp-client
box=$roots/box-$suite-$(printf '%s\n' "$made $mirror_seen" | cat - "$0" | cksum | cut -d' ' -f1)
[ ! -e "$box/laptop.box" ] || { printf '%s\n' "$box/laptop.box"; exit; }

# A kernel module that is there may still not run a kernel, as in a virtual machine that lends too little of its processor.
can_virtualize() {
    [ -w /dev/kvm ] || return 1
    said=$(timeout 20 qemu-system-x86_64 -enable-kvm -cpu host -m 512 -display none -serial stdio -no-reboot \
        -kernel "$box/vmlinuz" -append "console=ttyS0 panic=-1" </dev/null 2>&1 || true)
    case $said in *"Linux version"*) return 0 ;; *) return 1 ;; esac
}

say "making the box (once)"
rm -rf "$roots/box-$suite-"*
mkdir -p "$box"
disk=$box/root
cp -a "$made" "$disk"
rm "$disk/.made" "$disk/etc/apt/sources.list"
chroot "$disk" useradd -m -s /bin/bash vagrant
mkdir -m 700 "$disk/home/vagrant/.ssh"
cp "$(dpkg -L vagrant | grep '/keys/vagrant.pub$')" "$disk/home/vagrant/.ssh/authorized_keys"
chroot "$disk" chown -R vagrant:vagrant /home/vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$disk/etc/sudoers.d/vagrant"
printf '%s\n' 'source /etc/network/interfaces.d/*' 'auto lo' 'iface lo inet loopback' 'auto eth0' 'iface eth0 inet dhcp' \
    >"$disk/etc/network/interfaces"
echo '/dev/vda / ext4 defaults 0 1' >"$disk/etc/fstab"
printf '%s\n' 'Types: deb' "URIs: $mirror_seen" 'Suites: ./' 'Trusted: yes' >"$disk/etc/apt/sources.list.d/debian.sources"
chroot "$disk" ssh-keygen -A >/dev/null
cp "$disk"/boot/vmlinuz-* "$box/vmlinuz"
cp "$disk"/boot/initrd.img-* "$box/initrd"
truncate -s 4G "$box/raw"
mkfs.ext4 -q -F -d "$disk" "$box/raw"
qemu-img convert -O qcow2 "$box/raw" "$box/box.img"
rm -rf "$box/raw" "$disk"
driver=qemu
can_virtualize && driver=kvm || say "this machine cannot virtualize; the processor is emulated, which takes ten times as long"
echo '{"provider":"libvirt","format":"qcow2","virtual_size":4}' >"$box/metadata.json"
cat >"$box/Vagrantfile" <<END
Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "$driver"
    libvirt.kernel = "$box/vmlinuz"
    libvirt.initrd = "$box/initrd"
    libvirt.cmd_line = "root=/dev/vda console=ttyS0 net.ifnames=0"
    libvirt.memory = 1024
    libvirt.cpus = 2
  end
end
END
tar -C "$box" -czf "$box/draft" metadata.json Vagrantfile box.img
rm "$box/box.img"
mv "$box/draft" "$box/laptop.box"
printf '%s\n' "$box/laptop.box"
