"""Two configurations of each role. From one to the other, every service of the role has something to take over."""

PEERS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]


def hardening(which):
    return {
        "hardening_firewall_ssh_unlimited_from": PEERS,
        "hardening_admin_users": [{"name": f"ops{which}", "sudo": "nopasswd"}, {"name": f"ops{1 - which}", "state": "absent"}],
        "hardening_ssh_max_auth_tries": 3 + which,
        "hardening_firewall_rules": [{"port": [str(8080 + which)], "proto": "tcp"}],
        "hardening_firewall_default_routed": ["deny", "reject"][which],
        "hardening_mounts": [{"path": "/dev/shm", "options": [["nodev", "nosuid", "noexec"], ["nodev", "nosuid"]][which]}],
        "hardening_firewall_ssh_from": [["0.0.0.0/0"], ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]][which],
        "hardening_ntp_servers": [f"time{which}.example.com"],
        "hardening_umask": ["027", "077"][which],
        "hardening_faillock_attempts": 5 + which,
        "hardening_sysctl_settings": {"net.ipv4.tcp_keepalive_time": 600 + which},
        "hardening_file_integrity": False,
    }


def nginx(which):
    return {
        "nginx_status_port": 8101 + which,
        "nginx_sites": [
            {"name": "site.example.com", "aliases": [f"also{which}.example.com"], "certificate": {"type": "selfsigned"},
             "locations": [{"path": "/", "respond": {"body": f"configuration {which}"}}]},
        ],
    }


def docker_host(which):
    return {
        "docker_host_log_max_size": ["10m", "20m"][which],
        "docker_host_daemon_options": {"max-concurrent-downloads": 3 + which},
        "docker_host_published_ports": [{"port": 9000 + which, "from": ["10.0.0.0/8"]}],
        "docker_host_prune_schedule": ["weekly", "monthly"][which],
    }


def haproxy_vip(which):
    return {
        "haproxy_vip_address": "{{ ansible_facts.default_ipv4.broadcast | regex_replace('[0-9]+$', '250') }}"
                               "/{{ ansible_facts.default_ipv4.prefix }}",
        "haproxy_vip_managed_by": "systemd",
        "haproxy_vip_frontends": [{"name": "api", "binds": [{"address": "*", "port": 8201 + which}], "default_backend": "bots"}],
        "haproxy_vip_backends": [{"name": "bots", "servers": [{"name": "one", "address": "127.0.0.1", "port": 8101 + which}]}],
    }


ROLES = {role.__name__: role for role in (hardening, nginx, docker_host, haproxy_vip)}
