#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: do_app
short_description: Deploy an app on DigitalOcean's App Platform and wait for it
version_added: 1.0.0
description:
  - Keeps an app at a specification, which is compared by what it means. What the vendor fills in by itself is no difference; a component,
    domain or variable that is no longer declared is one.
  - Waits for the deployment. When it fails, the task fails with the end of the build's log, and the previous deployment goes on
    serving; a run after a failed deployment deploys again.
  - The vendor gives secret variables back encrypted, so a changed value of one cannot be seen; set O(force_deploy=true) for that run.
options:
  name:
    description: The app's name. Taken from C(spec.name) when left out.
    type: str
  spec:
    description: The app's specification, as in the vendor's C(app.yaml). Required to create.
    type: dict
  project_id:
    description: UUID of the project for a new app.
    type: str
  force_deploy:
    description: Send the specification and deploy even when nothing differs. Always a change.
    type: bool
    default: false
  rollback_to:
    description: Go back to this earlier deployment (its UUID). Excludes O(spec).
    type: str
  rollback_on_failure:
    description:
      - When a deployment fails, put the specification of the previous one back, too. The task fails all the same.
      - Without it the previous deployment goes on serving, and the specification stays the new one.
    type: bool
    default: false
extends_documentation_fragment:
  - botops.fleet.digitalocean
  - botops.fleet.digitalocean.state
"""

EXAMPLES = r"""
- name: The dashboard
  botops.fleet.do_app:
    spec:
      name: dashboard
      region: nyc
      services:
        - name: web
          github:
            repo: example/dashboard
            branch: main
            deploy_on_push: false
          instance_size_slug: apps-s-1vcpu-1gb
          http_port: 8080
          envs:
            - key: MODE
              value: paper
            - key: API_KEY
              value: "{{ vault_api_key }}"
              type: SECRET
    rollback_on_failure: true
    wait_timeout: 1200
  no_log: true

- name: Yesterday's was better
  botops.fleet.do_app:
    name: dashboard
    rollback_to: 3aa4d20e-5527-4c00-b496-601fbd22520a
"""

RETURN = r"""
app:
  description: The app as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    id: 4f6c71e2-1e90-4762-9fee-6cc4a0a9f2cf
    name: dashboard
    region: nyc
    live_url: https://dashboard-abcde.ondigitalocean.app
    default_ingress: https://dashboard-abcde.ondigitalocean.app
    active_deployment_id: 3aa4d20e-5527-4c00-b496-601fbd22520a
    active_deployment_phase: ACTIVE
    in_progress_deployment_id: null
    components: [web]
    created_at: "2026-01-20T10:15:04Z"
    urn: "do:app:4f6c71e2-1e90-4762-9fee-6cc4a0a9f2cf"
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.app import App
from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.module import run, spec


def main():
    run(
        App,
        spec(
            name={"type": "str"},
            spec={"type": "dict"},
            project_id={"type": "str"},
            force_deploy={"type": "bool", "default": False},
            rollback_to={"type": "str"},
            rollback_on_failure={"type": "bool", "default": False},
        ),
        required_one_of=[("name", "spec")],
        mutually_exclusive=[("spec", "rollback_to")],
    )


if __name__ == "__main__":
    main()
