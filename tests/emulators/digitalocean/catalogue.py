"""What the vendor sells: regions, sizes and images. A small, real subset, so that prices and refusals look true."""

from __future__ import annotations

REGION_NAMES = {
    "nyc1": "New York 1",
    "nyc3": "New York 3",
    "sfo3": "San Francisco 3",
    "ams3": "Amsterdam 3",
    "fra1": "Frankfurt 1",
    "lon1": "London 1",
    "sgp1": "Singapore 1",
    "tor1": "Toronto 1",
    "blr1": "Bangalore 1",
    "syd1": "Sydney 1",
}
FEATURES = ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"]

# slug: (vcpus, memory MiB, disk GiB, transfer TiB, dollars a month, description, regions it is missing from)
SIZES = {
    "s-1vcpu-512mb-10gb": (1, 512, 10, 0.5, 4, "Basic", ["lon1", "blr1"]),
    "s-1vcpu-1gb": (1, 1024, 25, 1, 6, "Basic", []),
    "s-1vcpu-2gb": (1, 2048, 50, 2, 12, "Basic", []),
    "s-2vcpu-2gb": (2, 2048, 60, 3, 18, "Basic", []),
    "s-2vcpu-4gb": (2, 4096, 80, 4, 24, "Basic", []),
    "s-4vcpu-8gb": (4, 8192, 160, 5, 48, "Basic", []),
    "s-8vcpu-16gb": (8, 16384, 320, 6, 96, "Basic", []),
    "g-2vcpu-8gb": (2, 8192, 25, 4, 63, "General Purpose", []),
    "g-4vcpu-16gb": (4, 16384, 50, 5, 126, "General Purpose", []),
    "c-2": (2, 4096, 25, 4, 42, "CPU-Optimized", []),
    "c-4": (4, 8192, 50, 5, 84, "CPU-Optimized", []),
    "m-2vcpu-16gb": (2, 16384, 50, 4, 84, "Memory-Optimized", ["nyc1", "blr1", "syd1", "tor1"]),
}

# slug: (id, distribution, name, type)
IMAGES = {
    "debian-12-x64": (129211873, "Debian", "12 x64", "base"),
    "debian-13-x64": (193871345, "Debian", "13 x64", "base"),
    "ubuntu-22-04-x64": (129211874, "Ubuntu", "22.04 (LTS) x64", "base"),
    "ubuntu-24-04-x64": (155133621, "Ubuntu", "24.04 (LTS) x64", "base"),
    "docker-20-04": (135782671, "Ubuntu", "Docker on Ubuntu 22.04", "base"),
}


def region(slug):
    return {
        "slug": slug,
        "name": REGION_NAMES[slug],
        "available": True,
        "features": FEATURES,
        "sizes": [size for size, about in SIZES.items() if slug not in about[6]],
    }


def size(slug):
    vcpus, memory, disk, transfer, monthly, description, missing = SIZES[slug]
    return {
        "slug": slug,
        "vcpus": vcpus,
        "memory": memory,
        "disk": disk,
        "transfer": float(transfer),
        "price_monthly": float(monthly),
        "price_hourly": round(monthly / 672, 5),
        "available": True,
        "regions": [name for name in REGION_NAMES if name not in missing],
        "description": description,
        "disk_info": [{"type": "local", "size": {"amount": disk, "unit": "gib"}}],
    }


def image(slug):
    number, distribution, name, kind = IMAGES[slug]
    return {
        "id": number,
        "slug": slug,
        "name": name,
        "distribution": distribution,
        "type": kind,
        "public": True,
        "regions": list(REGION_NAMES),
        "created_at": "2025-01-20T17:15:04Z",
        "min_disk_size": 10,
        "size_gigabytes": 1.2,
        "description": f"{distribution} {name}",
        "tags": [],
        "status": "available",
    }
