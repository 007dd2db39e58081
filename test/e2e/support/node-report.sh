# What a booted node says of itself: lines "topic name: value". Run by sh in the machine.
say() { echo "$1: $2"; }
each() { topic=$1; shift; for name; do say "$topic $name" "$(value "$name" 2>&1)"; done; }

say state "$(systemctl is-system-running)"
say failed "$(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')"
say firmware "$([ -d /sys/firmware/efi ] && echo uefi || echo bios)"
say cmdline "$(cat /proc/cmdline)"

value() { sysctl -n "$1"; }
each sysctl @SYSCTLS@ vm.swappiness
value() { [ -d "/sys/module/$1" ] && echo loaded || echo no; }
each module @MODULES@
say blacklist "$(modprobe --showconfig | grep -x 'blacklist krbd')"
say limits-root "$(su - root -c 'ulimit -Sn; ulimit -Hn; ulimit -Hc' | tr '\n' ' ')"
say limits-ops "$(su - ops -c 'ulimit -Sn; ulimit -Hn' | tr '\n' ' ')"

value() { echo "$(systemctl is-enabled "$1" 2>&1) $(systemctl is-active "$1")"; }
each unit kubelet containerd docker reported networkd-dispatcher ssh chrony rsyslog systemd-networkd systemd-resolved \
  kdump-tools
say kubelet "$(cat /run/kubelet.arguments)"
say kubelet-version "$(dpkg-query -W -f '${Version}' kubelet)"

say ops "$(getent passwd ops | cut -d: -f3-) $(id -nG ops)"
say ops-keys "$(stat -c '%U %a' /home/ops/.ssh/authorized_keys)"
say passwords "$(awk -F: '$2 !~ /^[!*]/ { printf "%s ", $1 }' /etc/shadow)"
say root "$(passwd -S root | cut -d' ' -f2)"

say fstab "$(findmnt --verify 2>&1 | tail -n 1)"
value() { findmnt -no FSTYPE,UUID "$1"; }
each mount / /boot /boot/efi
say fstab-uuids "$(sed -n 's/^UUID=\([^ ]*\) \([^ ]*\) .*/\2=\1/p' /etc/fstab | tr '\n' ' ')"
say root-bytes "$(findmnt -bno SIZE /)"
say disk-bytes "$(lsblk -bdno SIZE /dev/vda)"

say hostname "$(hostname)"
say hosts "$(getent hosts localhost) $(getent ahostsv4 "$(hostname)" | head -n 1 | cut -d' ' -f1)"
say locale "$(. /etc/default/locale; echo "$LANG")"
card=$(for device in /sys/class/net/*/device; do basename "${device%/device}"; done)
say link-file "$(udevadm info -q property "/sys/class/net/$card" | sed -n 's/^ID_NET_LINK_FILE=//p')"
say interfaces "$card"
say address "$(ip -4 -o address show scope global | wc -l)"
say machine-id "$(cat /etc/machine-id)"
say host-keys "$(cat /etc/ssh/ssh_host_*_key.pub | sha256sum | cut -c1-16)"
say crash-memory "$(cat /sys/kernel/kexec_crash_size)"
say issue "$(head -n 1 /etc/issue)"
say periodic "$(apt-config dump | grep -c '^APT::Periodic::.* "1"')"
say unattended "$(dpkg-query -W -f '${db:Status-Status}' unattended-upgrades 2>/dev/null || echo absent)"
say dpkg "$(dpkg --audit && apt-get check >/dev/null 2>&1 && echo consistent)"
say sources "$(ls /etc/apt/sources.list.d | tr '\n' ' ')"
say apparmor "$(cat /sys/module/apparmor/parameters/enabled)"
say cloud-init "$(cloud-init status 2>/dev/null | head -n 1)"
say slowest "$(systemd-analyze blame --no-pager | head -n 6 | tr -s " \n" " ")"
say time "$(systemd-analyze 2>/dev/null | head -n 1)"
