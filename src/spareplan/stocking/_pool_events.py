"""Events of sites that help each other out: demands, transfers, orders in lots, repairs, receipts.

`play` is written for plain lists and, compiled (`_kernels`), for arrays: the same lines, the same numbers.
"""

# mypy: allow-untyped-defs
from __future__ import annotations

import heapq

SHELF, LATERAL, EMERGENCY, WAITED = 0, 1, 2, 3
# Draws of lead times and of returns that a row uses in turn.
DRAWS = 256


def play(
    time, row, mended, parent, shelf, left, lot, lead, law, days_drawn, back, return_days, repair_days,
    first_helper, helper, lateral_days, emergency_days, wait, kind,
):  # fmt: skip
    """Play the demands of independent trees; fills `wait` and `kind`, and uses up `shelf` and `left`.

    Parameters
    ----------
    time, row, mended : sequences of length demands
        Own demands in order of time: when, where, and whether the failed piece is repaired there. [days]
    parent, shelf, left, lot : sequences of length rows
        Row above (-1: HQ), pieces on hand, pieces until the next order, pieces per order.
    lead, law : sequences of length rows
        Days on the way, or the line of `days_drawn` and `back` that tells them (-1: none). [days]
    days_drawn, back : lines x DRAWS
        Days on the way, and at HQ whether a piece comes back repaired instead of being bought, drawn in turn.
        What is sent at one moment travels together. [days]
    return_days, repair_days : sequences of length rows
        Of pieces that come back at HQ, and of pieces repaired at the site. [days]
    first_helper : sequence of length rows + 1
        Where the helpers of each row begin in `helper`, in the order in which they are asked.
    helper : sequence of rows
    lateral_days, emergency_days : sequences of length rows
        Of the site that asks; emergency NaN: there is none. [days]
    wait, kind : sequences of length demands
        Results: days until served, and by what (SHELF, LATERAL, EMERGENCY, WAITED).
    """
    rows = len(parent)
    calendar = [(0.0, 0, 0, 0)]
    calendar.pop()
    pending = [0]
    pending.pop()
    head, tail = [-1 for _ in range(rows)], [-1 for _ in range(rows)]
    follows, who, what = [0], [0], [0]
    drawn, tossed = [0 for _ in range(rows)], [0 for _ in range(rows)]
    sent = [-1.0 for _ in range(rows)]
    serial, k, now = 0, 0, 0.0
    while k < len(time) or len(calendar) > 0:
        if len(calendar) == 0 or (k < len(time) and time[k] < calendar[0][0]):
            now, at = time[k], row[k]
            source = -1
            if shelf[at] > 0:
                shelf[at] -= 1
                kind[k], source = SHELF, at
            else:
                for h in range(first_helper[at], first_helper[at + 1]):
                    if shelf[helper[h]] > 0:
                        source = helper[h]
                        break
                if source >= 0:
                    shelf[source] -= 1
                    kind[k], wait[k] = LATERAL, lateral_days[at]
                elif emergency_days[at] == emergency_days[at]:
                    kind[k], wait[k] = EMERGENCY, emergency_days[at]
                else:
                    kind[k], source = WAITED, at
                    follows.append(-1)
                    who.append(-1)
                    what.append(k)
                    if head[at] < 0:
                        head[at] = len(who) - 1
                    else:
                        follows[tail[at]] = len(who) - 1
                    tail[at] = len(who) - 1
            if source >= 0 and mended[k]:
                # What a neighbour gave is given back once it is repaired.
                days = repair_days[at] + (lateral_days[at] if source != at else 0.0)
                serial += 1
                heapq.heappush(calendar, (now + days, serial, source, 1))
            elif source >= 0:
                pending.append(source)
            k += 1
        else:
            now, _, at, pieces = heapq.heappop(calendar)
            for _ in range(pieces):
                item = head[at]
                if item < 0:
                    shelf[at] += 1
                    continue
                head[at] = follows[item]
                child = who[item]
                if child < 0:
                    wait[what[item]] = now - time[what[item]]
                else:
                    if sent[child] != now:
                        sent[child] = now
                        drawn[child] += 1
                    serial += 1
                    days = lead[child]
                    if law[child] >= 0:
                        days = days_drawn[law[child]][drawn[child] % DRAWS]
                    heapq.heappush(calendar, (now + days, serial, child, 1))
        while len(pending) > 0:
            # One piece less at this site: it may have to order, and so may the sites above.
            at = pending.pop()
            above = parent[at]
            if above < 0:
                tossed[at] += 1
                if law[at] >= 0 and back[law[at]][tossed[at] % DRAWS]:
                    serial += 1
                    heapq.heappush(calendar, (now + return_days[at], serial, at, 1))
                    continue
            left[at] -= 1
            if left[at] > 0:
                continue
            left[at] = lot[at]
            if sent[at] != now:
                sent[at] = now
                drawn[at] += 1
            days = lead[at]
            if law[at] >= 0:
                days = days_drawn[law[at]][drawn[at] % DRAWS]
            if above < 0:
                serial += 1
                heapq.heappush(calendar, (now + days, serial, at, lot[at]))
                continue
            for _ in range(lot[at]):
                if shelf[above] > 0:
                    shelf[above] -= 1
                    serial += 1
                    heapq.heappush(calendar, (now + days, serial, at, 1))
                else:
                    follows.append(-1)
                    who.append(at)
                    what.append(-1)
                    if head[above] < 0:
                        head[above] = len(who) - 1
                    else:
                        follows[tail[above]] = len(who) - 1
                    tail[above] = len(who) - 1
                pending.append(above)
