"""Names of invented people. Any likeness is an accident of common names."""

from __future__ import annotations

from typing import Final

_FIRST: Final = (
    "Aaliyah Adrian Aiko Amara Anders Anita Antoine Arjun Astrid Beatriz Benedikt Camille Carlos Chiara Clara Daniel "
    "Deepa Diego Elena Elif Emeka Emil Fatima Felix Femi Freya Gabriel Giulia Grace Hana Hannah Hugo Ibrahim Imani "
    "Ingrid Isaac Jakub Jamal Jana Joana Jonas Julia Kaito Karim Katarina Kavya Kenji Lars Leila Leon Lina Lucia "
    "Magnus Maja Marcus Maria Mateo Mei Mira Mohamed Nadia Naomi Nils Noor Olga Omar Oscar Paula Pedro Petra Priya "
    "Rafael Rahul Renata Rosa Ruth Samir Sara Sofia Soren Stefan Sunita Tariq Teresa Thea Tomas Uma Valentina Victor "
    "Viktoria Wanda Wei Yara Yusuf Zofia"
)
_LAST: Final = (
    "Abara Ahmed Almeida Andersen Aydin Bakker Banerjee Barros Bauer Berg Bianchi Brandt Campbell Castro Chen Cohen "
    "Costa Dahl Desai Dubois Eriksen Farouk Fernandes Fischer Fontaine Garcia Gruber Gupta Haddad Hansen Hayashi "
    "Hoffmann Horvat Ibrahim Iyer Jansen Johansson Kamau Kaya Keller Khan Kim Kowalski Kumar Lambert Larsen Lehmann "
    "Lindqvist Lopez Mancini Marino Martins Mehta Mensah Moreau Morgan Murphy Nakamura Navarro Nguyen Nowak Okafor "
    "Oliveira Olsen Osei Park Patel Pereira Petrov Popescu Rao Reyes Ricci Romero Rossi Saito Santos Schmidt Silva "
    "Singh Sorensen Suzuki Tanaka Torres Vargas Vidal Vogel Wagner Walker Weber Wilson Yamada Yilmaz Zhang Ziegler"
)
# In words, for they are read more easily than a hundred lines of quotes.
FIRST: Final = tuple(_FIRST.split())
LAST: Final = tuple(_LAST.split())
