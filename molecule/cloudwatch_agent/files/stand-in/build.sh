#!/bin/sh
# build.sh VERSION OUTPUT: a package with the paths, the unit and the control program's manners of the vendor's agent, and nothing of its own.
set -eu
here=$(dirname "$(readlink -f "$0")")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
home=$root/opt/aws/amazon-cloudwatch-agent
mkdir -p "$root/DEBIAN" "$home/bin" "$home/etc" "$home/logs" "$root/etc/systemd/system"
install -m 0755 "$here/ctl.py" "$home/bin/amazon-cloudwatch-agent-ctl"
install -m 0755 "$here/agent.py" "$home/bin/start-amazon-cloudwatch-agent"
[ ! -e "$here/schema.json" ] || install -m 0644 "$here/schema.json" "$home/bin/schema.json"
echo "$1" > "$home/bin/CWAGENT_VERSION"
echo "# This configuration file is a common configuration." > "$home/etc/common-config.toml"
cat > "$root/etc/systemd/system/amazon-cloudwatch-agent.service" <<UNIT
[Unit]
Description=Amazon CloudWatch Agent
After=network.target
[Service]
Type=simple
ExecStart=/opt/aws/amazon-cloudwatch-agent/bin/start-amazon-cloudwatch-agent
KillMode=process
Restart=on-failure
RestartSec=60s
[Install]
WantedBy=multi-user.target
UNIT
cat > "$root/DEBIAN/control" <<CONTROL
Package: amazon-cloudwatch-agent
Version: $1-1
Architecture: all
Maintainer: botops.fleet contributors <botops@example.com>
Depends: python3
Description: stand-in for the agent of Amazon CloudWatch
CONTROL
echo /opt/aws/amazon-cloudwatch-agent/etc/common-config.toml > "$root/DEBIAN/conffiles"
ctl=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
script() { # NAME WHEN ACTION
    cat > "$root/DEBIAN/$1" <<SCRIPT
#!/bin/sh
if [ "\$1" = $2 ]; then $ctl -a $3; fi
SCRIPT
}
script preinst upgrade stop
script prerm remove preun
chmod 0755 "$root/DEBIAN/preinst" "$root/DEBIAN/prerm"
dpkg-deb --root-owner-group --build "$root" "$2" >/dev/null
