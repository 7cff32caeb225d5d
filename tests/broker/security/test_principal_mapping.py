"""From the name in a certificate to a principal's, as Kafka's own rules have it."""

from __future__ import annotations

import pytest

from pyproducer.broker.security.principal_mapping import NoRuleApplies, PrincipalMapping

SEVERAL = (
    "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, "
    "RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, "
    "RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, "
    "RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT"
)


@pytest.mark.parametrize(
    ("rules", "name", "principal"),
    [
        ("DEFAULT", "CN=a,O=b", "CN=a,O=b"),
        (SEVERAL, "CN=Duke,OU=ServiceUsers,O=Org,C=US", "duke"),
        (SEVERAL, "CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", "duke@sme"),
        (SEVERAL, "cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME"),
        (SEVERAL, "cN=duke,OU=JavaSoft,O=Sun Microsystems", "DUKE"),
        (SEVERAL, "OU=JavaSoft,O=Sun,C=US", "OU=JavaSoft,O=Sun,C=US"),
        (
            r"RULE:^CN=((\\, *|\w)+)(,.*|$)/$1/,DEFAULT",
            r"CN=Tkac\, Adam,OU=ITZ,DC=geodis,DC=cz",
            r"Tkac\, Adam",
        ),
        (r"RULE:^CN=([^,]+).*$/\$1-$1/", "CN=a,O=b", "$1-a"),
        ("RULE:^CN=(.*)$/$2$1/", "CN=a", "$2a"),
        ("RULE:^CN=(.*)$/$12/", "CN=a", "a2"),
        (",  , RULE:^CN=(a)$/$1/U  ,,, DEFAULT, ,", "CN=a", "A"),
        # As in Java the empty rest is found too, and replaced as well.
        ("RULE:.*/x/", "CN=a", "xx"),
    ],
)
def test_first_rule_that_fits(rules: str, name: str, principal: str):
    """
    The first rule whose pattern covers the whole name says what the principal is called.
    """
    assert principal == PrincipalMapping(rules).name(name)


@pytest.mark.parametrize("rules", ["", "RULE:^CN=b$/b/", " , "])
def test_no_rule_fits(rules: str):
    """
    A name that no rule fits is nobody's.
    """
    with pytest.raises(NoRuleApplies, match="CN=a"):
        PrincipalMapping(rules).name("CN=a")


@pytest.mark.parametrize(
    "rules",
    [
        "default",
        "DEFAUL",
        "DEFAULT/L",
        "DEFAULT/U",
        "RULE:CN=(.*?),OU=ServiceUsers.*/$1",
        "rule:^CN=(.*?),OU=ServiceUsers.*$/$1/",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L/U",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/L",
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/LU",
        "RULE:^CN=(/$1/",
        "DEFAULT DEFAULT",
        "RULE:a{99999999999}/$1/",
        "RULE:" + "(" * 10_000 + "/$1/",
    ],
)
def test_what_is_no_rule(rules: str):
    """
    What is written otherwise is refused when the broker is made, not when somebody comes in.
    """
    with pytest.raises(ValueError, match=r"is no (rule|pattern)"):
        PrincipalMapping(rules)
