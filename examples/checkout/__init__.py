"""A shop that reserves stock, charges a card and writes a mail, against three real HTTP services.

`sagas` is the business, `app` the shop, `naive` the same shop as it is commonly written, `services` the three
outside systems with their ledgers and their faults. Imports inside are relative, because the wheel carries this
folder under another name (`saga.demo.shop`).
"""
