"""The sandbox: a real HTTP server that plays the dialers, as strict as their documents.

One request passes through these modules in this order:

    protocol   the socket: when the head arrived; cutting the line without an answer
    stage      one request from head to last byte, the same for every dialer
    faults     what is to go wrong with it, on demand
    calls      the request in hand, and what a dialer is: the seam for the next one
    api        what dialers have in common: keys, `rates`, and paths that mean operations; `fields` of bodies
    voiso            that dialer's rules, with voiso_leads (fields) and voiso_campaign (states, one call at a time)
    voiceaiwrapper   likewise, with voiceaiwrapper_campaign (the queue)
    dialnexa         likewise, with dialnexa_leads, dialnexa_campaign and `upload` (files in forms)
    voicery          likewise, with voicery_leads
    book       which numbers a campaign holds, and how often each came
    audit      what happened, request by request
    verify     how the rules were kept, dialer by dialer and campaign by campaign

Beside each dialer stands its OpenAPI document (`voiso_openapi` and so on), made of the parts in `openapi`.
Around them: `settings`, `control` (the API under /_sandbox), `sandbox` (all of it assembled),
`server` (the same on a socket: `run`) and `process` (the same in a process of its own: `SandboxProcess`).
"""
