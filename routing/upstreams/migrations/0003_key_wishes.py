"""What keys wish. A key and its wishes are of one organization: a composite foreign key, beside Django's own."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orgs', '0004_key_of_organization'),
        ('upstreams', '0002_same_organization'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeyWishes',
            fields=[
                ('key', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='orgs.virtualkey')),
                ('order', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), default=list, size=None)),
                ('only', models.BooleanField(default=False)),
                ('sort', models.CharField(blank=True, max_length=5)),
                ('most_per_million', models.DecimalField(decimal_places=6, max_digits=13, null=True)),
                ('changed_at', models.DateTimeField()),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='orgs.organization')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('order', []), _negated=True), models.Q(('sort', ''), _negated=True), ('most_per_million__isnull', False), _connector='OR'), name='wishes_something'), models.CheckConstraint(condition=models.Q(('order__len__lte', 20), models.Q(('order__contains', ['']), _negated=True)), name='wishes_order'), models.CheckConstraint(condition=models.Q(('only', False), models.Q(('order', []), _negated=True), _connector='OR'), name='wishes_only'), models.CheckConstraint(condition=models.Q(('sort__in', ['', 'floor', 'nitro'])), name='wishes_sort'), models.CheckConstraint(condition=models.Q(('most_per_million__range', (0, 1000000))), name='wishes_price')],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE upstreams_keywishes ADD CONSTRAINT wishes_same_organization "
            "FOREIGN KEY (organization_id, key_id) REFERENCES orgs_virtualkey (organization_id, id) "
            "DEFERRABLE INITIALLY IMMEDIATE",
            "ALTER TABLE upstreams_keywishes DROP CONSTRAINT wishes_same_organization",
        ),
    ]
