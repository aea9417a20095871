"""What customers and Raxx's people write to each other in the sandbox: unmistakable sentences, in many scripts.

Tests search byte by byte for every sentence in what a drill leaves behind. So none has a character that HTML or JSON
would escape, except those of ``AWKWARD``, whose purpose is to be hard to restore.
"""

from __future__ import annotations

from typing import Final

SENTENCES: Final = (
    "The kayak trailer arrived with a bent axle and no lamp",
    "Please cancel the second instalment of my rowing course",
    "My membership card opens the north gate but not the boathouse",
    "Could you send the receipt for the oak paddle once more",
    "We moved to Harbour Lane and need the new address on the invoice",
    "The rental calendar shows Saturday as free though we booked it",
    "I was charged twice for the dry bag on the fourteenth",
    "Our club would like a quotation for eleven racing shells",
    "The refund has not reached my account after nine days",
    "Which sealant do you recommend for a cedar hull",
    "My daughter left a green life vest in locker forty two",
    "The password link you sent has expired before I read it",
    "Our treasurer asks for the tax number of your company",
    "Please change the delivery to the lock keepers cottage",
    "The pump makes a grinding noise when the tide is low",
    "Thank you for the quick help with the broken rudder",
)
UNICODE: Final = (
    "Grüße aus Köln, das Boot läuft wieder großartig",
    "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "Ο καθρέφτης της βάρκας έσπασε στο λιμάνι",
    "Лодка протекает у второй скамьи",
    "ボートの予約を来週に変更したいです",
    "הסירה השכורה לא הגיעה בזמן",
    "القارب المستأجر وصل متأخرا يومين",
    "नाव की मरम्मत कब पूरी होगी",
)
EMOJI: Final = ("🚣", "🛶💨", "👍🏽", "👩‍👩‍👧‍👦", "🧾❓", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "𝕭𝖔𝖆𝖙")
AWKWARD: Final = (
    "Robert'); DROP TABLE threads; -- was the name on the form",
    'C:\\temp\\new\\"quoted\\" and a backslash at the end \\',
    "INSERT INTO `threads` VALUES (1,'pasted from a log');\n-- Dump completed on 2001-01-01  0:00:00\n",
    "/*!40101 SET NAMES utf8 */; DELIMITER ;; a customer pasted this",
    "tabs\tand\r\nline breaks, a NUL \x00 and a Ctrl-Z \x1a in one message",
    "100% of _everything_ 'single' ''double'' \\'escaped\\' `ticked`",
)
"""Bodies that a splitter of statements, or a check that greps a dump, can mistake for something else."""
SUBJECTS: Final = (
    "Bent axle on the kayak trailer",
    "Second instalment of the rowing course",
    "Gate card does not open the boathouse",
    "Receipt for the oak paddle",
    "Double charge for a dry bag",
    "Quotation for racing shells",
    "Refund not received after nine days",
    "Lost green life vest",
    "Rudder repair finished",
    "Wartezeit für die Reparatur 🛠",
)
FIRST_NAMES: Final = (
    "Ada",
    "Björn",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farid",
    "Gwen",
    "Hana",
    "Ines",
    "Jörg",
    "Kofi",
    "Lucía",
)
LAST_NAMES: Final = (
    "Abara",
    "Brandt",
    "Castillo",
    "Dvořák",
    "Eriksen",
    "Fontaine",
    "Grünwald",
    "Hoshino",
    "Ivanova",
    "Johansson",
)
