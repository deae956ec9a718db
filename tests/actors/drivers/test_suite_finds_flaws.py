"""The conformance suite itself: whoever breaks one promise of a driver is caught by a case about that promise."""

import inspect
from functools import wraps

import pytest

from noria.actors.delivery import Message
from noria.actors.drivers.memory import MemoryDriver
from noria.actors.drivers.memory_queue import MemoryQueue, _MemorySubscription
from noria.actors.testing import DriverConformance, harness

FLAWS = {}


def flaw(*cases):
    """A way to break the memory driver, and the cases that have to notice it."""

    def enter(break_it):
        for case in cases:
            FLAWS[f"{break_it.__name__}-{case}"] = (break_it, case)
        return break_it

    return enter


def change(monkeypatch, owner, name):
    """Replaces a method by one that gets the original as its first argument."""
    original = getattr(owner, name)

    def decorate(replacement):
        @wraps(original)
        def method(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        monkeypatch.setattr(owner, name, method)

    return decorate


@flaw("test_a_batch_may_be_large_or_empty", "test_many_threads_publish_at_once")
def it_loses_messages(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_append")
    def append(original, queue, messages):
        original(queue, [message for message in messages if message.body != b"7" and message.body != b"d07"])


@flaw("test_a_message_arrives_with_its_id_body_and_headers")
def it_delivers_twice_what_it_delivers_first(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "hand_over")
    def hand_over(original, subscription):
        for delivery in subscription.taken:
            delivery.attempt += 1
        original(subscription)


@flaw("test_header_values_keep_value_and_type")
def it_makes_text_of_headers(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_append")
    def append(original, queue, messages):
        made = [
            Message(each.id, each.body, {k: str(v) for k, v in each.headers.items()}) for each in messages
        ]
        original(queue, made)


@flaw("test_header_values_keep_value_and_type")
def it_makes_numbers_of_booleans(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_append")
    def append(original, queue, messages):
        made = [
            Message(e.id, e.body, {k: int(v) if isinstance(v, bool) else v for k, v in e.headers.items()})
            for e in messages
        ]
        original(queue, made)


@flaw("test_message_ids_are_the_publisher_s_and_no_duplicates_are_dropped")
def it_drops_duplicates(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_append")
    def append(original, queue, messages):
        original(queue, list({message.id: message for message in messages}.values()))


@flaw("test_messages_arrive_in_the_order_of_publishing")
def it_turns_batches_round(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_append")
    def append(original, queue, messages):
        original(queue, list(reversed(messages)))


@flaw(
    "test_no_more_is_delivered_than_the_credit_allows",
    "test_credit_holds_at_every_moment_under_load",
    "test_each_settlement_frees_credit",
)
def it_delivers_one_more_than_the_credit(monkeypatch):
    credit = _MemorySubscription.credit.fget
    monkeypatch.setattr(_MemorySubscription, "credit", property(lambda self: credit(self) + 1))


@flaw("test_consumers_of_a_queue_share_fairly")
def it_serves_the_first_consumer_first(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_next_in_turn")
    def next_in_turn(original, queue, record):
        return next((each for each in queue._subscriptions if each.credit > 0), None)


@flaw("test_an_acked_message_is_gone", "test_many_are_acked_in_one_call")
def it_forgets_acks(monkeypatch):
    monkeypatch.setattr(MemoryQueue, "leave_acked", lambda queue, deliveries: None)


@flaw("test_a_nacked_message_comes_back_and_counts_the_attempt")
def it_does_not_count_attempts(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "_nack")
    def nack(original, subscription, delivery, delay):
        delivery.attempt = 0
        original(subscription, delivery, delay)


@flaw("test_a_nacked_message_goes_behind_what_is_ready")
def it_puts_nacked_messages_first(monkeypatch):
    @change(monkeypatch, MemoryQueue, "delay")
    def delay(original, queue, record, seconds):
        queue.return_to_head([record])


@flaw("test_a_delayed_message_waits_in_the_backend_and_then_comes_back")
def it_ignores_delays(monkeypatch):
    @change(monkeypatch, MemoryQueue, "delay")
    def delay(original, queue, record, seconds):
        original(queue, record, 0)


@flaw("test_delays_of_every_length_hold_nothing_up", "test_a_shorter_delay_overtakes_a_longer_one")
def it_lets_delays_block_one_another(monkeypatch):
    longest = [0.0]

    @change(monkeypatch, MemoryQueue, "delay")
    def delay(original, queue, record, seconds):
        longest[0] = max(longest[0], seconds)
        original(queue, record, longest[0])


@flaw("test_released_deliveries_return_to_the_head_in_order")
def it_turns_released_messages_round(monkeypatch):
    @change(monkeypatch, MemoryQueue, "return_to_head")
    def return_to_head(original, queue, records):
        original(queue, list(reversed(records)))


@flaw("test_released_deliveries_come_back_uncounted")
def it_counts_releases(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "_release")
    def release(original, subscription, deliveries):
        for delivery in deliveries:
            delivery.receipt.attempts += 1
        original(subscription, deliveries)


@flaw("test_a_moved_message_does_not_come_back", "test_both_queues_figures_tell_of_a_move")
def it_copies_instead_of_moving(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "move")
    def move(original, subscription, delivery, queue, message):
        target = subscription._queue.siblings.get(queue)
        return target is not None and target.put(message)


@flaw("test_a_move_to_a_missing_queue_leaves_the_message_where_it_is")
def it_moves_into_nothing(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "move")
    def move(original, subscription, delivery, queue, message):
        if not original(subscription, delivery, queue, message):
            subscription.ack((delivery,))
        return True


@flaw("test_settlements_after_close_change_nothing")
def it_moves_what_has_gone_back(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "move")
    def move(original, subscription, delivery, queue, message):
        return subscription._queue.siblings[queue].put(message)


@flaw(
    "test_a_full_queue_refuses_after_the_timeout_and_says_how_many_it_took",
    "test_a_queue_is_full_some_time_and_nothing_it_accepted_is_lost",
    "test_publishers_together_keep_to_the_bound",
)
def it_drops_what_it_has_no_room_for(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_publish_as_room_appears")
    def publish(original, queue, messages, timeout):
        queue._append(messages[: max(0, queue._free_places())])


@flaw("test_what_waited_too_long_is_marked_as_expired")
def it_never_expires_anything(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_set_bounds")
    def set_bounds(original, queue, max_length, _message_ttl):
        original(queue, max_length, None)


@flaw("test_what_is_younger_than_the_limit_is_not_expired")
def it_expires_everything(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_set_bounds")
    def set_bounds(original, queue, max_length, message_ttl):
        original(queue, max_length, message_ttl and 0.0)


@flaw("test_peek_shows_messages_and_takes_none")
def it_takes_what_it_peeks_at(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_peek")
    def peek(original, queue, limit):
        found = original(queue, limit)
        queue._ready.clear()
        return found


@flaw("test_purge_removes_what_is_ready_and_says_how_much", "test_purge_removes_what_is_delayed")
def it_purges_only_what_is_ready_and_counts_nothing(monkeypatch):
    @change(monkeypatch, MemoryQueue, "_purge")
    def purge(original, queue):
        queue._ready.clear()
        return 0


@flaw("test_after_pause_nothing_more_is_delivered")
def it_does_not_pause(monkeypatch):
    monkeypatch.setattr(_MemorySubscription, "_pause", lambda subscription: None)


@flaw("test_closing_returns_what_is_unsettled", "test_subscribing_and_closing_quickly_loses_nothing")
def it_keeps_what_it_should_give_back(monkeypatch):
    @change(monkeypatch, _MemorySubscription, "_close")
    def close(original, subscription):
        subscription.in_flight = {}
        original(subscription)


@flaw("test_a_consumer_that_subscribes_again_gets_back_what_its_earlier_life_held")
def it_lets_a_consumer_live_twice(monkeypatch):
    @change(monkeypatch, MemoryQueue, "subscribe")
    def subscribe(original, queue, consumer, credit, deliver):
        return original(queue, f"{consumer}-{id(deliver)}", credit, deliver)


@flaw("test_a_closed_driver_refuses_and_keeps_everything_until_it_opens_again")
def it_forgets_when_it_closes(monkeypatch):
    @change(monkeypatch, MemoryDriver, "close")
    def close(original, driver):
        original(driver)
        for queue in driver._queues.values():
            queue._ready.clear()


@pytest.mark.parametrize("name", FLAWS)
def test_a_broken_promise_is_found(name, monkeypatch):
    break_it, case = FLAWS[name]
    break_it(monkeypatch)
    # What does not come would be waited for in vain.
    monkeypatch.setattr(harness, "PATIENCE", 0.5)
    suite = DriverConformance()
    with MemoryDriver() as driver:
        at_hand = {"driver": driver, "queue": harness.declare(driver), "publish_first": True}
        wanted = {name: at_hand[name] for name in inspect.signature(getattr(suite, case)).parameters}

        with pytest.raises((AssertionError, pytest.fail.Exception)):
            getattr(suite, case)(**wanted)
