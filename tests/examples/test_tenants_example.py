"""examples/tenants: whoever gets a message first, only its own tenant's consumer handles it."""

PATIENCE = 60.0

WRITTEN = {
    'acme_writer wrote "Rockets sold" for acme',
    'acme_writer wrote "Anvils sold" for acme',
    'acme_writer wrote "Returns" for acme',
    'acme_writer wrote "Secret plans" for acme',
    'globex_writer wrote "Weather" for globex',
    'globex_writer wrote "Volcano lease" for globex',
    'globex_writer wrote "Staff" for globex',
    'globex_writer wrote "Doomsday device" for globex-labs',
    'globex_writer wrote "Hammocks" for globex-labs',
}
NOT_SENT = (
    '"Secret plans" was not sent: acme_writer may not queue.publish.queue on'
    " 'tenants:mail.globex': no policy allows it"
)
SERVES = {"acme_writer": {"acme"}, "globex_writer": {"globex", "globex-labs"}}


def test_each_report_is_written_by_its_own_tenant_and_denials_are_seen(start_example, example_input, caplog):
    caplog.set_level("INFO", "tenants")
    runtime = start_example("tenants")
    decisions: list = []
    runtime.guard.audit(decisions.append)

    runtime.publish_many("tenants:orders", example_input("tenants"))
    runtime.wait_idle(PATIENCE)

    calls = [each for each in decisions if each.resource == "tenants:write_report"]
    by_outcome = {True: set(), False: set()}
    for each in calls:
        tenant = each.meta["message"]["headers"]["tenant"]
        by_outcome[each.decision.allowed].add((each.principal.id, tenant))
    assert by_outcome[True] == {(writer, tenant) for writer, served in SERVES.items() for tenant in served}
    # Consumers are served in turn, so each of them meets messages that are not its own.
    assert by_outcome[False]
    assert not by_outcome[True] & by_outcome[False]
    logged = [record.getMessage() for record in caplog.records if record.name == "tenants"]
    assert set(logged) == {*WRITTEN, NOT_SENT}
    assert len(logged) == len(WRITTEN) + 1


def test_a_writer_fills_its_own_mailbox_only(start_example, example_input):
    runtime = start_example("tenants")
    denied: list = []
    runtime.guard.audit(lambda each: denied.append(each) if not each.decision.allowed else None)

    runtime.publish_many("tenants:orders", example_input("tenants"))
    runtime.wait_idle(PATIENCE)

    publishing = [
        (each.principal.id, each.action, each.resource) for each in denied if each.action != "funcs.call"
    ]
    assert publishing == [("acme_writer", "queue.publish.queue", "tenants:mail.globex")]
    assert runtime.info("tenants:mail.acme")["ready"] == 3
    assert runtime.info("tenants:mail.globex")["ready"] == 5


def test_with_a_dead_letter_queue_what_is_denied_is_laid_aside_with_its_reason(run_as_written):
    ran = run_as_written("tenants", "noria run", "dead_letter")

    refused = [line for line in ran.logged if line.get("event") == "MessageDeadLettered"]
    written = {text for text in ran.texts if " wrote " in text}
    assert ran.code == 0
    assert refused
    assert {line["reason"] for line in refused} == {"denied"}
    assert written < WRITTEN
    assert len(written) + len(refused) == len(WRITTEN)
    assert ran.summary["left"]["tenants:refused"] == len(refused)
    assert ran.summary["failed"] == 0


def test_the_tenants_example_runs_as_its_readme_says(run_as_written):
    ran = run_as_written("tenants", "noria run", "--until-idle\n")

    assert ran.code == 0
    assert {*WRITTEN, NOT_SENT} <= set(ran.texts)
    denials = [line for line in ran.logged if line.get("event") == "Denied"]
    assert {line["principal"] for line in denials} <= set(SERVES)
    assert ran.summary["handled"] == 12
    assert ran.summary["denied"] == len(denials) > 1
    assert ran.summary["left"] == {"tenants:mail.acme": 3, "tenants:mail.globex": 5}


def test_the_program_prints_each_denial_with_the_tenant_it_was_about(run_as_written):
    ran = run_as_written("tenants", "python")

    lines = ran.stderr.splitlines()
    assert ran.code == 0
    assert lines[-2:] == ["tenants:mail.acme holds 3 reports", "tenants:mail.globex holds 5 reports"]
    assert {*WRITTEN, NOT_SENT} <= set(lines)
    assert any(
        line.startswith("acme_writer may not funcs.call on tenants:write_report for globex") for line in lines
    )
