"""A service of twenty lines: 100,000 contacts of a CRM go into 5 campaigns. Prints what became of them."""

import json
import sys
from pathlib import Path

from leadlane import Fleet

PER_CAMPAIGN = int(sys.argv[1]) // 5
memory_kb = []


def contacts(campaign: int):
    for i in range(PER_CAMPAIGN):
        if i % 1000 == 0:
            memory_kb.append(int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]))
        yield {"phone_number": f"+49151{campaign}{i:07d}", "name": f"Contact {i}", "priority": 1 + i % 1000,
               "source": {"system": "my_crm", "url": f"https://crm.example.com/contacts/{i}"}}  # fmt: skip


fleet = Fleet()
jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(contacts(campaign)) for campaign in range(1, 6)]
print(json.dumps({"memory_kb": memory_kb, "ended": [job.wait(timeout=300) for job in jobs]}))
